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
#[derive(Clone, Debug, PartialEq)]
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
