//! What can go wrong while an observatory is made, started or installed.

use std::{io, net::SocketAddr};

use crate::{
    metrics::BucketsError, runtime::error_text::debug_is_a_sentence, settings::ConfigError,
};

debug_is_a_sentence!(BuildError, StartError, InstallError);

/// An observatory could not be made. Nothing was started.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Configured buckets cannot be used.
    #[error(transparent)]
    Buckets(#[from] BucketsError),
    /// Rules, channels or the store of alerts cannot be used.
    #[cfg(feature = "alerting")]
    #[error(transparent)]
    Alerting(#[from] crate::alerting::AlertingError),
    /// What sends traces, log records or metrics cannot be set up.
    #[cfg(feature = "otlp")]
    #[error(transparent)]
    Traces(#[from] crate::traces::TracesError),
    /// It could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// An observatory could not be started.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The server's address cannot be had.
    #[error(
        "cannot listen on {address} for /metrics ({source}); choose another address with OBSERVATORY_LISTEN=127.0.0.1:9091 or Config::with_listen (port 0 takes any that is free; a Prometheus on this machine has 9090)"
    )]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A thread cannot be started.
    #[error("cannot start the thread {name}")]
    Thread {
        /// Its name.
        name: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// An observatory could not be installed. Nothing was.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// It could not be made.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The process has an observatory installed.
    #[error(
        "an observatory is installed already: clone that one, or make a second one beside it with Observatory::builder(config).build()"
    )]
    Installed,
    /// The process has a `tracing` subscriber.
    #[error(
        "a tracing subscriber is installed already: install the observatory once, before anything else, or put its layer into yours with Observatory::builder(config).build()"
    )]
    SubscriberInstalled,
    /// The process has a `metrics` recorder.
    #[error(
        "a metrics recorder is installed already: install the observatory before it, or leave the recorder as it is and use Observatory::builder(config).build() with FacadeSink"
    )]
    RecorderInstalled,
}
