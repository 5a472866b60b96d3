//! Why there can be no traces.

use std::path::PathBuf;

use crate::config::ConfigError;

/// Traces cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TracesError {
    /// The certificates to trust cannot be read.
    #[error("cannot read the certificates in {path}: {reason}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS cannot be configured.
    #[error("cannot configure TLS")]
    Tls(#[from] rustls::Error),
    /// The authorities that the platform trusts cannot be read.
    #[error("cannot read the certificates that the platform trusts")]
    Platform(#[source] std::io::Error),
    /// An exporter's address is none.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A client cannot send to such an address.
    #[error("cannot send to {0}")]
    Address(String),
    /// What encodes for an exporter cannot be made, or needs a feature that is not compiled in.
    #[error("the exporter `{0}` cannot be had")]
    Exporter(&'static str),
}
