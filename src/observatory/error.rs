//! Errors of building, starting and installing an observatory.

use std::{io, net::SocketAddr};

use crate::{
    metrics::BucketsError, runtime::error_text::debug_is_a_sentence, settings::ConfigError,
};

debug_is_a_sentence!(BuildError, StartError, InstallError);

/// An error of building an observatory. Nothing was started.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The configured buckets are invalid.
    #[error(transparent)]
    Buckets(#[from] BucketsError),
    /// The rules, the channels or the storage of alerts are invalid.
    #[cfg(feature = "alerting")]
    #[error(transparent)]
    Alerting(#[from] crate::alerting::AlertingError),
    /// A health check cannot be started.
    #[cfg(feature = "health")]
    #[error(transparent)]
    Health(#[from] crate::health::HealthError),
    /// An exporter of traces, log records or metrics cannot be set up.
    #[cfg(feature = "otlp")]
    #[error(transparent)]
    Traces(#[from] crate::traces::TracesError),
    /// The observatory cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// An error of starting an observatory.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The server cannot listen on its address.
    #[error(
        "cannot listen on {address} for /metrics ({source}); choose another address with OBSERVATORY_LISTEN=127.0.0.1:9091 or Config::with_listen (port 0 takes any that is free; a Prometheus on this machine has 9090)"
    )]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// A thread cannot be started.
    #[error("cannot start the thread {name}")]
    Thread {
        /// The name of the thread.
        name: &'static str,
        /// The error of the system.
        source: io::Error,
    },
}

/// An error of installing an observatory. Nothing was installed.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The observatory cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// An observatory is already installed in the process.
    #[error(
        "an observatory is installed already: clone that one, or make a second one beside it with Observatory::builder(config).build()"
    )]
    Installed,
    /// A `tracing` subscriber is already installed in the process.
    #[error(
        "a tracing subscriber is installed already: install the observatory once, before anything else, or put its layer into yours with Observatory::builder(config).build()"
    )]
    SubscriberInstalled,
    /// A `metrics` recorder is already installed in the process.
    #[error(
        "a metrics recorder is installed already: install the observatory before it, or leave the recorder as it is and use Observatory::builder(config).facade().build(), which writes into it"
    )]
    RecorderInstalled,
}
