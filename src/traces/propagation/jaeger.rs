//! Jaeger's `uber-trace-id`: trace, span, parent (which nobody uses) and flags between colons.

use http::HeaderMap;
use opentelemetry::trace::TraceState;

use super::{
    hex, only, remote,
    said::{Said, SamplingState},
    set,
};

const HEADER: &str = "uber-trace-id";
const SAMPLED: u8 = 1;
/// Jaeger, "Propagation Format": only beside the one above.
const DEBUG: u8 = 2;

pub(super) fn extract(headers: &HeaderMap) -> Option<Said> {
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
    let sampling = match flags as u8 & (SAMPLED | DEBUG) {
        SAMPLED => SamplingState::Accept,
        both if both == SAMPLED | DEBUG => SamplingState::Debug,
        _ => SamplingState::Deny,
    };
    let is_sampled = sampling.is_kept();
    let parent = remote(trace, span as u64, is_sampled, TraceState::default())?;
    Said::new(Some(parent), sampling)
}

pub(super) fn inject(said: &Said, headers: &mut HeaderMap) {
    let flags = match said.sampling {
        SamplingState::Accept => SAMPLED,
        SamplingState::Debug => SAMPLED | DEBUG,
        SamplingState::Deny | SamplingState::Defer => 0,
    };
    let (trace, span) = (said.parent.trace_id(), said.parent.span_id());
    set(headers, HEADER, &format!("{trace}:{span}:0:{flags}"));
}
