//! Defines the errors of setting up traces.

use crate::{net::ClientError, runtime::error_text::debug_is_a_sentence, settings::ConfigError};

debug_is_a_sentence!(TracesError);

/// An error of setting up traces, or log records or pushed metrics, which use the same exporters.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum TracesError {
    /// The HTTP client of an exporter cannot be built.
    #[error(transparent)]
    Client(#[from] ClientError),
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
