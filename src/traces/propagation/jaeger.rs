//! Jaeger's `uber-trace-id`: trace, span, parent (which nobody uses) and flags between colons.

use http::HeaderMap;
use opentelemetry::trace::{SpanContext, TraceState};

use super::{hex, only, remote, set};

const HEADER: &str = "uber-trace-id";

pub(super) fn extract(headers: &HeaderMap) -> Option<SpanContext> {
    // Some clients encode the colons.
    let text = only(headers, HEADER)?
        .trim()
        .replace("%3A", ":")
        .replace("%3a", ":");
    let parts: Vec<&str> = text.split(':').collect();
    let [trace, span, _, flags] = parts[..] else {
        return None;
    };
    (trace.len() <= 32 && span.len() <= 16 && flags.len() <= 2).then_some(())?;
    let (trace, span, flags) = (hex(trace, false)?, hex(span, false)?, hex(flags, false)?);
    remote(trace, span as u64, flags & 1 == 1, TraceState::default())
}

pub(super) fn inject(own: &SpanContext, headers: &mut HeaderMap) {
    let flags = u8::from(own.is_sampled());
    let value = format!("{}:{}:0:{flags}", own.trace_id(), own.span_id());
    set(headers, HEADER, &value);
}
