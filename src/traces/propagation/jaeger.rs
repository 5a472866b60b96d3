//! Reads and writes Jaeger's `uber-trace-id` and baggage.
//!
//! `uber-trace-id` holds trace id, span id, parent id (which is ignored) and flags, separated by colons. Each entry of the
//! baggage is a header of its own: `uberctx-` and the name of the entry.

use http::{HeaderMap, HeaderName};
use opentelemetry::{baggage::Baggage, trace::TraceState};

use super::{
    baggage::{MAX_BYTES, MAX_ENTRIES},
    hex, only, percent, remote,
    remote_parent::{RemoteParent, SamplingState},
    set,
};

const HEADER: &str = "uber-trace-id";
const BAGGAGE: &str = "uberctx-";
const SAMPLED: u8 = 1;
/// Jaeger, "Propagation Format": valid only with `SAMPLED`.
const DEBUG: u8 = 2;

pub(super) fn extract(headers: &HeaderMap) -> Option<RemoteParent> {
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
    let is_sampled = sampling.is_sampled();
    let parent = remote(trace, span as u64, is_sampled, TraceState::default())?;
    RemoteParent::new(Some(parent), sampling)
}

pub(super) fn inject(parent: &RemoteParent, headers: &mut HeaderMap) {
    let flags = match parent.sampling {
        SamplingState::Accept => SAMPLED,
        SamplingState::Debug => SAMPLED | DEBUG,
        SamplingState::Deny | SamplingState::Defer => 0,
    };
    let (trace, span) = (parent.context.trace_id(), parent.context.span_id());
    set(headers, HEADER, &format!("{trace}:{span}:0:{flags}"));
}

/// Reads no entry of a baggage beyond the limits of W3C Baggage.
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
    if entries.len() > MAX_ENTRIES || bytes.sum::<usize>() > MAX_BYTES {
        return baggage;
    }
    for (name, value) in entries {
        // Jaeger's clients for Go and Java encode a blank as a plus sign, and a plus sign as an escape.
        let value = percent::decoded(&value.replace('+', " "));
        baggage.insert(name.to_owned(), value);
    }
    baggage
}

/// Names become lower case, as header names are case-insensitive.
pub(super) fn inject_baggage(baggage: &Baggage, headers: &mut HeaderMap) {
    let mut bytes = 0;
    for (name, (value, _)) in baggage.iter().take(MAX_ENTRIES) {
        let value = percent::encoded(value.as_str(), is_plain);
        let header = HeaderName::try_from(format!("{BAGGAGE}{name}"));
        let (Ok(header), Ok(text)) = (header, value.parse()) else {
            continue;
        };
        bytes += name.as_str().len() + value.len();
        if bytes > MAX_BYTES {
            return;
        }
        headers.insert(header, text);
    }
}

/// RFC 3986, "unreserved": Jaeger's examples escape other characters.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}
