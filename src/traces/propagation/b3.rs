//! B3, in one header or in several. Either is read, whichever is written.
//!
//! A decision may come without ids, `b3: 0`, and ids without a decision; both are read as the format says, and a debug
//! flag goes on as long as the trace is kept (openzipkin/b3-propagation; OpenTelemetry, "B3 Requirements").

use http::{HeaderMap, HeaderName};
use opentelemetry::trace::{SpanContext, TraceState};

use super::{
    hex, only, remote,
    said::{Said, SamplingState},
    set,
};

const SINGLE: &str = "b3";
const TRACE: &str = "x-b3-traceid";
const SPAN: &str = "x-b3-spanid";
const PARENT: &str = "x-b3-parentspanid";
const SAMPLED: &str = "x-b3-sampled";
const FLAGS: &str = "x-b3-flags";

/// The single header first, as the format says.
pub(super) fn extract(headers: &HeaderMap) -> Option<Said> {
    single(headers).or_else(|| multi(headers))
}

fn single(headers: &HeaderMap) -> Option<Said> {
    let text = only(headers, SINGLE)?.trim();
    let Some((trace, rest)) = text.split_once('-') else {
        return Said::new(None, state(text)?);
    };
    let mut parts = rest.split('-');
    let span = parts.next()?;
    let sampling = match parts.next() {
        Some(text) => state(text)?,
        None => SamplingState::Defer,
    };
    Said::new(Some(parent(trace, span, sampling)?), sampling)
}

fn state(text: &str) -> Option<SamplingState> {
    match text {
        "1" => Some(SamplingState::Accept),
        "0" => Some(SamplingState::Deny),
        "d" => Some(SamplingState::Debug),
        _ => None,
    }
}

fn multi(headers: &HeaderMap) -> Option<Said> {
    let sampling = if first(headers, FLAGS) == Some("1") {
        // It implies that the trace is kept, whatever else is there.
        SamplingState::Debug
    } else {
        match first(headers, SAMPLED) {
            Some("1" | "true") => SamplingState::Accept,
            Some("0" | "false") => SamplingState::Deny,
            _ => SamplingState::Defer,
        }
    };
    let ids = only(headers, TRACE).zip(only(headers, SPAN));
    let parent = ids.and_then(|(trace, span)| parent(trace, span, sampling));
    Said::new(parent, sampling)
}

/// B3: of several states the first one counts.
fn first<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

fn parent(trace: &str, span: &str, sampling: SamplingState) -> Option<SpanContext> {
    (matches!(trace.len(), 16 | 32) && span.len() == 16).then_some(())?;
    let (trace, span) = (hex(trace, false)?, hex(span, false)?);
    let is_sampled = sampling.is_kept();
    remote(trace, span as u64, is_sampled, TraceState::default())
}

pub(super) fn inject_single(said: &Said, headers: &mut HeaderMap) {
    let state = match said.sampling {
        SamplingState::Accept => "1",
        SamplingState::Deny => "0",
        SamplingState::Debug => "d",
        SamplingState::Defer => "",
    };
    if !said.has_parent() {
        if !state.is_empty() {
            set(headers, SINGLE, state);
        }
        return;
    }
    let ids = format!("{}-{}", said.parent.trace_id(), said.parent.span_id());
    if state.is_empty() {
        set(headers, SINGLE, &ids);
    } else {
        set(headers, SINGLE, &format!("{ids}-{state}"));
    }
}

/// Headers of the format that nobody sets here came in with a request that is sent on, and are of another span.
pub(super) fn inject_multi(said: &Said, headers: &mut HeaderMap) {
    if said.has_parent() {
        set(headers, TRACE, &said.parent.trace_id().to_string());
        set(headers, SPAN, &said.parent.span_id().to_string());
    } else if said.sampling == SamplingState::Defer {
        return;
    }
    for stale in [PARENT, SAMPLED, FLAGS] {
        headers.remove(HeaderName::from_static(stale));
    }
    match said.sampling {
        SamplingState::Accept => set(headers, SAMPLED, "1"),
        SamplingState::Deny => set(headers, SAMPLED, "0"),
        SamplingState::Debug => set(headers, FLAGS, "1"),
        SamplingState::Defer => {}
    }
}
