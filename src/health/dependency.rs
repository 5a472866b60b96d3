//! Dependencies of the configuration: other services that this service needs.

use std::time::Duration;

#[cfg(feature = "health")]
use super::target::Target;
use super::{
    HealthConfig,
    options::check_schedule,
    target::{is_host, is_host_and_port},
};
use crate::{
    net::{Endpoint, without_secrets},
    privacy::Secret,
    settings::{ConfigError, check, setters},
};

/// The end of the error of an invalid URL.
const URL_EXPECTED: &str = "a URL such as https://example.com/health";

/// A service that this service needs, and the way to check it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(try_from = "Written", into = "Written")]
#[non_exhaustive]
pub struct DependencyConfig {
    /// The address of the service, and the way to check it.
    pub target: DependencyTarget,
    /// True if the service is unhealthy and not ready without this dependency. Default: false.
    pub critical: bool,
    /// Time between the starts of two runs. Default: `health.interval`.
    pub interval: Option<Duration>,
    /// Time limit of one attempt. Default: `health.timeout`.
    pub timeout: Option<Duration>,
    /// Attempts of a run after its first failure. Default: `health.retries`.
    pub retries: Option<u32>,
}

/// The address of a dependency, and the way to check it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum DependencyTarget {
    /// A URL that answers a GET request with a status from 200 to 399.
    Url(String),
    /// A host and a port that accept TCP connections.
    Tcp(String),
    /// A host name that resolves to an address.
    Dns(String),
    /// An OpenAI-compatible server.
    OpenAi {
        /// The URL of the server, with or without `/v1` at its end.
        url: String,
        /// The key that requests carry as a bearer token.
        api_key: Option<Secret>,
        /// The model that completes one token; `None` lists the models of the server instead.
        completion_model: Option<String>,
    },
}

/// A dependency as it is written in a file: the kind of its target is a key.
#[derive(Default, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dns: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    openai: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion_model: Option<String>,
    critical: bool,
    interval: Option<Duration>,
    timeout: Option<Duration>,
    retries: Option<u32>,
}

impl From<DependencyConfig> for Written {
    fn from(dependency: DependencyConfig) -> Self {
        let mut written = Self {
            critical: dependency.critical,
            interval: dependency.interval,
            timeout: dependency.timeout,
            retries: dependency.retries,
            ..Self::default()
        };
        match dependency.target {
            DependencyTarget::Url(url) => written.url = Some(url),
            DependencyTarget::Tcp(address) => written.tcp = Some(address),
            DependencyTarget::Dns(host) => written.dns = Some(host),
            DependencyTarget::OpenAi {
                url,
                api_key,
                completion_model,
            } => {
                written.openai = Some(url);
                written.api_key = api_key;
                written.completion_model = completion_model;
            }
        }
        written
    }
}

impl TryFrom<Written> for DependencyConfig {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let has_openai_keys = written.api_key.is_some() || written.completion_model.is_some();
        let target = match (written.url, written.tcp, written.dns, written.openai) {
            (Some(url), None, None, None) => DependencyTarget::Url(url),
            (None, Some(address), None, None) => DependencyTarget::Tcp(address),
            (None, None, Some(host), None) => DependencyTarget::Dns(host),
            (None, None, None, Some(url)) => DependencyTarget::OpenAi {
                url,
                api_key: written.api_key,
                completion_model: written.completion_model,
            },
            _ => return Err("needs one of `url`, `tcp`, `dns` and `openai`"),
        };
        if has_openai_keys && !matches!(target, DependencyTarget::OpenAi { .. }) {
            return Err("`api_key` and `completion_model` need `openai`");
        }
        Ok(Self {
            target,
            critical: written.critical,
            interval: written.interval,
            timeout: written.timeout,
            retries: written.retries,
        })
    }
}

impl DependencyConfig {
    fn new(target: DependencyTarget) -> Self {
        Self {
            target,
            critical: false,
            interval: None,
            timeout: None,
            retries: None,
        }
    }

    /// Checks a URL by a GET request.
    pub fn url(url: impl Into<String>) -> Self {
        Self::new(DependencyTarget::Url(url.into()))
    }

    /// Checks a TCP port, such as `db:5432`.
    pub fn tcp(address: impl Into<String>) -> Self {
        Self::new(DependencyTarget::Tcp(address.into()))
    }

    /// Checks that a host name resolves.
    pub fn dns(host: impl Into<String>) -> Self {
        Self::new(DependencyTarget::Dns(host.into()))
    }

    /// Checks an OpenAI-compatible server by its list of models.
    pub fn openai(url: impl Into<String>) -> Self {
        Self::new(DependencyTarget::OpenAi {
            url: url.into(),
            api_key: None,
            completion_model: None,
        })
    }

    setters! {
        /// Sets whether the service is unhealthy and not ready without this dependency.
        with_critical(critical: bool) { self.critical = critical }

        /// Sets the time between the starts of two runs.
        with_interval(interval: Duration) { self.interval = Some(interval) }

        /// Sets the time limit of one attempt.
        with_timeout(timeout: Duration) { self.timeout = Some(timeout) }

        /// Sets the number of attempts of a run after its first failure.
        with_retries(retries: u32) { self.retries = Some(retries) }
    }

    /// Checks every value; `key` is the key of the dependency.
    pub(super) fn validate(&self, key: &str, health: &HealthConfig) -> Result<(), ConfigError> {
        check_schedule(
            key,
            self.interval.unwrap_or(health.interval),
            self.timeout.unwrap_or(health.timeout),
            self.retries.unwrap_or(health.retries),
        )?;
        self.target.validate(key)
    }
}

impl DependencyTarget {
    /// Checks the address; `key` is the key of the dependency.
    pub(super) fn validate(&self, key: &str) -> Result<(), ConfigError> {
        let (name, value, is_valid, expected) = match self {
            Self::Url(url) => ("url", url, Endpoint::new(url).is_some(), URL_EXPECTED),
            Self::Tcp(address) => {
                let expected = "a host and a port, such as db:5432";
                ("tcp", address, is_host_and_port(address), expected)
            }
            Self::Dns(host) => (
                "dns",
                host,
                is_host(host),
                "a host name, such as example.com",
            ),
            Self::OpenAi { url, .. } => ("openai", url, Endpoint::new(url).is_some(), URL_EXPECTED),
        };
        check(
            is_valid,
            &format!("{key}.{name}"),
            &without_secrets(value),
            expected,
        )
    }

    /// Returns the address of a target that needs no credentials.
    #[cfg(feature = "health")]
    pub(super) fn plain(&self) -> Option<Target> {
        match self {
            Self::Url(url) => Endpoint::new(url).map(Target::Http),
            Self::Tcp(address) => Some(Target::Tcp(address.clone())),
            Self::Dns(host) => Some(Target::Dns(host.clone())),
            Self::OpenAi { .. } => None,
        }
    }
}
