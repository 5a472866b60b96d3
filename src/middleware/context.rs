//! Extracts the trace context of an incoming request into its span, and injects the context of a span into an outgoing
//! request.
//!
//! `OTEL_PROPAGATORS` selects the formats. Headers pass unchanged if traces are off.

#[cfg(feature = "otlp")]
pub(super) use crate::traces::propagation::{received as extract, sent as inject};

#[cfg(not(feature = "otlp"))]
mod untraced {
    use http::HeaderMap;
    use tracing::Span;

    /// Handles an incoming request; `is_kept` is false if the request must not start a sampled trace here.
    pub(in crate::middleware) const fn extract(_: &Span, _: &HeaderMap, _is_kept: bool) {}

    /// Handles an outgoing request.
    pub(in crate::middleware) const fn inject(_: &Span, _: &mut HeaderMap) {}
}

#[cfg(not(feature = "otlp"))]
pub(super) use self::untraced::{extract, inject};
