//! The one place where a request's headers and its span meet: traces go on from service to service here.
//!
//! Which formats are read and written is configured with the traces (`OTEL_PROPAGATORS`). Where traces are off, headers
//! pass as they are.

#[cfg(feature = "otlp")]
pub(super) use crate::traces::propagation::{received as extract, sent as inject};

#[cfg(not(feature = "otlp"))]
mod untraced {
    use http::HeaderMap;
    use tracing::Span;

    /// A request came in; `is_kept` says whether its trace may be kept here.
    pub(in crate::middleware) const fn extract(_: &Span, _: &HeaderMap, _is_kept: bool) {}

    /// A request goes out: its server may want to know the span.
    pub(in crate::middleware) const fn inject(_: &Span, _: &mut HeaderMap) {}
}

#[cfg(not(feature = "otlp"))]
pub(super) use self::untraced::{extract, inject};
