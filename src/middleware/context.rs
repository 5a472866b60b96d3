//! Creates the span of an incoming request inside the trace context of its headers, and injects the context of a span into an outgoing
//! request.
//!
//! `OTEL_PROPAGATORS` selects the formats. Headers pass unchanged if traces are off.

#[cfg(feature = "otlp")]
pub(super) use crate::traces::propagation::{received, sent as inject};

#[cfg(not(feature = "otlp"))]
mod untraced {
    use http::HeaderMap;
    use tracing::Span;

    /// Creates the span of an incoming request; `is_kept` is false if the request must not start a sampled trace here.
    pub(in crate::middleware) fn received<R>(
        _: &HeaderMap,
        _is_kept: bool,
        create: impl FnOnce() -> R,
    ) -> R {
        create()
    }

    /// Handles an outgoing request.
    pub(in crate::middleware) const fn inject(_: &Span, _: &mut HeaderMap) {}
}

#[cfg(not(feature = "otlp"))]
pub(super) use self::untraced::{inject, received};
