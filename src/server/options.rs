//! Options of the server: the hosts that it answers to, and its limits on connections and time.

use std::time::Duration;

use crate::settings::{
    ConfigError, MIN_INTERVAL, Variable, check, comma_separated, count, duration, set,
};

/// Options of the server: the hosts that it answers to, and its limits on connections and time.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Names under which clients reach the server, with or without a port: `router`, `router:9090`; `*` allows every name.
    /// An IP address, `localhost`, and the host of `alerting.external_url` need no entry. The metrics and the health
    /// report accept every name. Endpoints in a router of the application check names only if this list is not empty.
    /// Default: empty.
    pub allowed_hosts: Vec<String>,
    /// Max open connections, but never more than a tenth of the process's limit on file descriptors. At the limit, the
    /// connection that has waited longest for a complete request is closed. Default: 64.
    pub max_connections: usize,
    /// Time limit of the head of a request, the pause before the head included, and time limit of its body. Default: 30 s.
    pub read_timeout: Duration,
    /// Time within which a client must take 256 KiB of an answer, or the rest of the answer. Default: 10 s.
    pub write_timeout: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            allowed_hosts: Vec::new(),
            max_connections: 64,
            read_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(10),
        }
    }
}

impl ServerConfig {
    pub(crate) const VARIABLES: &[Variable<Self>] = &[
        Variable::new("OBSERVATORY_ALLOWED_HOSTS", |server, value| {
            let hosts = comma_separated(value).map(str::to_owned);
            set(&mut server.allowed_hosts, Ok(hosts.collect()))
        }),
        Variable::new("OBSERVATORY_MAX_CONNECTIONS", |server, value| {
            set(&mut server.max_connections, count(value))
        }),
        Variable::new("OBSERVATORY_READ_TIMEOUT", |server, value| {
            set(&mut server.read_timeout, duration(value))
        }),
        Variable::new("OBSERVATORY_WRITE_TIMEOUT", |server, value| {
            set(&mut server.write_timeout, duration(value))
        }),
    ];

    /// Checks every value.
    ///
    /// # Errors
    ///
    /// Returns the first invalid value, with its key.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        for host in &self.allowed_hosts {
            let is_host = !host.is_empty() && !host.contains(['/', '@', ' ', ',', '?', '#']);
            check(
                is_host,
                "server.allowed_hosts",
                host,
                "a host name with or without a port, for example `router` or `router:9090`, or `*`",
            )?;
        }
        check(
            self.max_connections > 0,
            "server.max_connections",
            &self.max_connections,
            "a whole number above 0",
        )?;
        for (key, timeout) in [
            ("server.read_timeout", &self.read_timeout),
            ("server.write_timeout", &self.write_timeout),
        ] {
            check(*timeout >= MIN_INTERVAL, key, timeout, "at least 100ms")?;
        }
        Ok(())
    }
}
