//! Why there can be no traces.

use std::path::PathBuf;

use crate::{runtime::error_text::debug_is_a_sentence, settings::ConfigError};

debug_is_a_sentence!(TracesError);

/// Traces cannot be set up, or log records or pushed metrics, which go the same way.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum TracesError {
    /// A file of certificates, or of a key, cannot be used.
    #[error("{key} is {}, which cannot be used: {reason}", path.display())]
    Certificate {
        /// Its key in the configuration: `traces.otlp.certificate`, say.
        key: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS cannot be configured.
    #[error("cannot configure TLS")]
    Tls(#[from] rustls::Error),
    /// The authorities that the platform trusts cannot be read.
    #[error("cannot read the certificates that the platform trusts; {key} names others")]
    Platform {
        /// The key in the configuration that would do without them.
        key: String,
        /// What the system said.
        source: std::io::Error,
    },
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
