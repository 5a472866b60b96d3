//! Why there can be no traces.

use std::path::PathBuf;

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
    /// An exporter's address is none, or needs a feature that is not compiled in.
    #[error("cannot use the endpoint of an exporter")]
    Endpoint,
    /// A pattern of the redaction is no regular expression.
    #[error("traces.redaction.patterns has {pattern:?}, which is no regular expression")]
    Pattern {
        /// The pattern.
        pattern: String,
    },
}
