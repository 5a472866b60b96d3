//! Exports by OTLP, over HTTP with protobuf or over gRPC.
//!
//! The messages are those of `opentelemetry-proto`. Both protocols use the crate's own HTTP client: a unary gRPC call is
//! one HTTP/2 request with a five-byte frame before its message, so it needs neither tonic nor tonic's TLS.

#[cfg(feature = "otlp")]
mod details;
#[cfg(feature = "otlp")]
mod grpc;
#[cfg(feature = "otlp")]
mod http;
mod options;
#[cfg(feature = "otlp")]
mod split;
#[cfg(feature = "otlp")]
mod transport;

pub use self::options::{Compression, OtlpConfig, OtlpProtocol};
#[cfg(feature = "otlp")]
pub(super) use self::transport::Otlp;
#[cfg(feature = "otlp")]
pub(crate) use self::transport::Transport;
use super::Spec;
use crate::traces::options::Signal;

/// The variables `OTEL_EXPORTER_OTLP_*` belong to all signals, see `options::variables`.
pub(super) const SPEC: Spec = Spec {
    aliases: &[],
    variables: &[],
    validate: |traces| traces.otlp.check(Signal::Traces),
    #[cfg(feature = "otlp")]
    build: Some(transport::build),
};
