//! Jaeger's `uber-trace-id`: trace, span, parent (which nobody uses) and flags between colons; and its baggage, each
//! entry in a header of its own, `uberctx-` and the name.

use http::{HeaderMap, HeaderName};
use opentelemetry::{baggage::Baggage, trace::TraceState};

use super::{
    baggage::{MOST_BYTES, MOST_ENTRIES},
    hex, only, percent, remote,
    said::{Said, SamplingState},
    set,
};

const HEADER: &str = "uber-trace-id";
const BAGGAGE: &str = "uberctx-";
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

/// Nothing at all of what is too large, as W3C's.
pub(super) fn extract_baggage(headers: &HeaderMap) -> Baggage {
    let entries: Vec<(&str, &str)> = headers
        .iter()
        .filter_map(|(name, value)| {
            let name = name.as_str().strip_prefix(BAGGAGE)?;
            Some((name, value.to_str().ok()?.trim()))
        })
        .filter(|(name, _)| !name.is_empty())
        .collect();
    let bytes = entries.iter().map(|(name, value)| name.len() + value.len());
    let mut baggage = Baggage::new();
    if entries.len() > MOST_ENTRIES || bytes.sum::<usize>() > MOST_BYTES {
        return baggage;
    }
    for (name, value) in entries {
        // Jaeger's clients for Go and Java write a blank as a plus sign, and that as an escape.
        let value = percent::decoded(&value.replace('+', " "));
        baggage.insert(name.to_owned(), value);
    }
    baggage
}

/// Names lose their case: headers have none.
pub(super) fn inject_baggage(baggage: &Baggage, headers: &mut HeaderMap) {
    let mut bytes = 0;
    for (name, (value, _)) in baggage.iter().take(MOST_ENTRIES) {
        let value = percent::encoded(value.as_str(), is_plain);
        let header = HeaderName::try_from(format!("{BAGGAGE}{name}"));
        let (Ok(header), Ok(text)) = (header, value.parse()) else {
            continue;
        };
        bytes += name.as_str().len() + value.len();
        if bytes > MOST_BYTES {
            return;
        }
        headers.insert(header, text);
    }
}

/// RFC 3986, "unreserved": the others are escaped in Jaeger's examples.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}
