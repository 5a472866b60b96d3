//! B3, in one header or in several. Either is read, whichever is written.

use http::HeaderMap;
use opentelemetry::trace::{SpanContext, TraceState};

use super::{hex, only, remote, set};

const SINGLE: &str = "b3";
const TRACE: &str = "x-b3-traceid";
const SPAN: &str = "x-b3-spanid";
const SAMPLED: &str = "x-b3-sampled";
const FLAGS: &str = "x-b3-flags";

/// The single header first, as the format says.
pub(super) fn extract(headers: &HeaderMap) -> Option<SpanContext> {
    single(headers).or_else(|| multi(headers))
}

fn single(headers: &HeaderMap) -> Option<SpanContext> {
    let mut parts = only(headers, SINGLE)?.trim().split('-');
    let (trace, span) = (parts.next()?, parts.next()?);
    let is_sampled = match parts.next() {
        Some("1" | "d") => true,
        // Without a decision it is left to the next service; ours goes by the parent, and a trace that nobody decided
        // to keep is not kept.
        Some("0") | None => false,
        Some(_) => return None,
    };
    context(trace, span, is_sampled)
}

fn multi(headers: &HeaderMap) -> Option<SpanContext> {
    let is_debug = only(headers, FLAGS) == Some("1");
    let is_sampled = matches!(only(headers, SAMPLED), Some("1" | "true"));
    context(
        only(headers, TRACE)?,
        only(headers, SPAN)?,
        is_debug || is_sampled,
    )
}

fn context(trace: &str, span: &str, is_sampled: bool) -> Option<SpanContext> {
    (matches!(trace.len(), 16 | 32) && span.len() == 16).then_some(())?;
    let (trace, span) = (hex(trace, false)?, hex(span, false)?);
    remote(trace, span as u64, is_sampled, TraceState::default())
}

pub(super) fn inject_single(own: &SpanContext, headers: &mut HeaderMap) {
    let sampled = u8::from(own.is_sampled());
    let value = format!("{}-{}-{sampled}", own.trace_id(), own.span_id());
    set(headers, SINGLE, &value);
}

pub(super) fn inject_multi(own: &SpanContext, headers: &mut HeaderMap) {
    set(headers, TRACE, &own.trace_id().to_string());
    set(headers, SPAN, &own.span_id().to_string());
    set(headers, SAMPLED, if own.is_sampled() { "1" } else { "0" });
}
