//! Why there can be no traces.

use crate::{net::ClientError, runtime::error_text::debug_is_a_sentence, settings::ConfigError};

debug_is_a_sentence!(TracesError);

/// Traces cannot be set up, or log records or pushed metrics, which go the same way.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum TracesError {
    /// The HTTP client of an exporter cannot be built.
    #[error(transparent)]
    Client(#[from] ClientError),
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
