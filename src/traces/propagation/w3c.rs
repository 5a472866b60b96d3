//! Reads and writes W3C Trace Context: `traceparent` and `tracestate`.

use std::str::FromStr as _;

use http::HeaderMap;
use opentelemetry::trace::{SpanContext, TraceState};

use super::{hex, only, remote, set};

const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";
/// Trace Context, "tracestate Header Field Values": a longer list is invalid, and W3C's test suite for vendors expects it
/// to be discarded.
const MAX_MEMBERS: usize = 32;

pub(super) fn extract(headers: &HeaderMap) -> Option<SpanContext> {
    let text = only(headers, PARENT)?.trim();
    let part = |from: usize, to: usize| text.get(from..to);
    let number = |from: usize, to: usize| hex(part(from, to)?, true);
    let version = number(0, 2)?;
    let dashes = [2, 35, 52].map(|place| part(place, place + 1));
    (dashes == [Some("-"); 3]).then_some(())?;
    match (version, part(55, 56)) {
        (0xff, _) => return None,
        // Version 00 ends here; a later version may continue after a dash.
        (_, None) if text.len() == 55 => {}
        (1.., Some("-")) => {}
        _ => return None,
    }
    let (trace_id, span_id, flags) = (number(3, 35)?, number(36, 52)?, number(53, 55)?);
    remote(trace_id, span_id as u64, flags & 1 == 1, state(headers))
}

/// Joins the lists of all `tracestate` headers in their order; empty if an entry is invalid or the list is too long.
fn state(headers: &HeaderMap) -> TraceState {
    let lists: Option<Vec<&str>> = headers
        .get_all(STATE)
        .iter()
        .map(|value| value.to_str().ok())
        .collect();
    let members = lists.iter().flatten().flat_map(|list| list.split(','));
    // Empty members are allowed, and are not counted.
    let members: Vec<&str> = members.filter(|member| !member.trim().is_empty()).collect();
    if members.len() > MAX_MEMBERS {
        return TraceState::default();
    }
    TraceState::from_str(&members.join(",")).unwrap_or_default()
}

pub(super) fn inject(own: &SpanContext, headers: &mut HeaderMap) {
    let flags = u8::from(own.is_sampled());
    let parent = format!("00-{}-{}-{flags:02x}", own.trace_id(), own.span_id());
    set(headers, PARENT, &parent);
    let state = own.trace_state().header();
    // The state of a forwarded request belongs to the parent in that request.
    headers.remove(STATE);
    if !state.is_empty() {
        set(headers, STATE, &state);
    }
}
