//! Reads and writes B3, in one header or in several. Both forms are read, whichever is written.
//!
//! A decision may come without ids, as in `b3: 0`, and ids may come without a decision. A debug flag is passed on as long
//! as the trace is sampled (openzipkin/b3-propagation; OpenTelemetry, "B3 Requirements").

use http::{HeaderMap, HeaderName};
use opentelemetry::trace::{SpanContext, TraceState};

use super::{
    hex, only, remote,
    remote_parent::{RemoteParent, SamplingState},
    set,
};

const SINGLE: &str = "b3";
const TRACE: &str = "x-b3-traceid";
const SPAN: &str = "x-b3-spanid";
const PARENT: &str = "x-b3-parentspanid";
const SAMPLED: &str = "x-b3-sampled";
const FLAGS: &str = "x-b3-flags";

/// Prefers the single header, as the format requires.
pub(super) fn extract(headers: &HeaderMap) -> Option<RemoteParent> {
    single(headers).or_else(|| multi(headers))
}

fn single(headers: &HeaderMap) -> Option<RemoteParent> {
    let text = only(headers, SINGLE)?.trim();
    let Some((trace, rest)) = text.split_once('-') else {
        return RemoteParent::new(None, state(text)?);
    };
    let mut parts = rest.split('-');
    let span = parts.next()?;
    let sampling = match parts.next() {
        Some(text) => state(text)?,
        None => SamplingState::Defer,
    };
    RemoteParent::new(Some(parent_context(trace, span, sampling)?), sampling)
}

fn state(text: &str) -> Option<SamplingState> {
    match text {
        "1" => Some(SamplingState::Accept),
        "0" => Some(SamplingState::Deny),
        "d" => Some(SamplingState::Debug),
        _ => None,
    }
}

fn multi(headers: &HeaderMap) -> Option<RemoteParent> {
    let sampling = if first(headers, FLAGS) == Some("1") {
        // The flag implies a sampled trace, whatever the other headers are.
        SamplingState::Debug
    } else {
        match first(headers, SAMPLED) {
            Some("1" | "true") => SamplingState::Accept,
            Some("0" | "false") => SamplingState::Deny,
            _ => SamplingState::Defer,
        }
    };
    let ids = only(headers, TRACE).zip(only(headers, SPAN));
    let parent = ids.and_then(|(trace, span)| parent_context(trace, span, sampling));
    RemoteParent::new(parent, sampling)
}

/// B3: the first of several states counts.
fn first<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

fn parent_context(trace: &str, span: &str, sampling: SamplingState) -> Option<SpanContext> {
    (matches!(trace.len(), 16 | 32) && span.len() == 16).then_some(())?;
    let (trace, span) = (hex(trace, false)?, hex(span, false)?);
    let is_sampled = sampling.is_sampled();
    remote(trace, span as u64, is_sampled, TraceState::default())
}

pub(super) fn inject_single(parent: &RemoteParent, headers: &mut HeaderMap) {
    let state = match parent.sampling {
        SamplingState::Accept => "1",
        SamplingState::Deny => "0",
        SamplingState::Debug => "d",
        SamplingState::Defer => "",
    };
    if !parent.has_ids() {
        if !state.is_empty() {
            set(headers, SINGLE, state);
        }
        return;
    }
    let ids = format!("{}-{}", parent.context.trace_id(), parent.context.span_id());
    if state.is_empty() {
        set(headers, SINGLE, &ids);
    } else {
        set(headers, SINGLE, &format!("{ids}-{state}"));
    }
}

/// Removes the headers of the format that it does not set: in a forwarded request they belong to another span.
pub(super) fn inject_multi(parent: &RemoteParent, headers: &mut HeaderMap) {
    if parent.has_ids() {
        set(headers, TRACE, &parent.context.trace_id().to_string());
        set(headers, SPAN, &parent.context.span_id().to_string());
    } else if parent.sampling == SamplingState::Defer {
        return;
    }
    for stale in [PARENT, SAMPLED, FLAGS] {
        headers.remove(HeaderName::from_static(stale));
    }
    match parent.sampling {
        SamplingState::Accept => set(headers, SAMPLED, "1"),
        SamplingState::Deny => set(headers, SAMPLED, "0"),
        SamplingState::Debug => set(headers, FLAGS, "1"),
        SamplingState::Defer => {}
    }
}
