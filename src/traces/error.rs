//! Defines the errors of setting up traces.

use std::path::PathBuf;

use crate::{runtime::error_text::debug_is_a_sentence, settings::ConfigError};

debug_is_a_sentence!(TracesError);

/// An error of setting up traces, or log records or pushed metrics, which use the same exporters.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum TracesError {
    /// A certificate file or a key file cannot be used.
    #[error("{key} is {}, which cannot be used: {reason}", path.display())]
    Certificate {
        /// The key in the configuration, such as `traces.otlp.certificate`.
        key: String,
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// TLS cannot be configured.
    #[error("cannot configure TLS")]
    Tls(#[from] rustls::Error),
    /// The root certificates of the platform cannot be read.
    #[error("cannot read the certificates that the platform trusts; {key} names others")]
    Platform {
        /// The key in the configuration that names other certificates.
        key: String,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The address of an exporter is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The HTTP client does not support the address.
    #[error("cannot send to {0}")]
    Address(String),
    /// The encoder of an exporter cannot be built, or needs a feature that is not compiled in.
    #[error("the exporter `{0}` cannot be had")]
    Exporter(&'static str),
}
