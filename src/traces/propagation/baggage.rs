//! Reads and writes W3C Baggage: names and values that travel with a trace.

use std::fmt::Write as _;

use http::HeaderMap;
use opentelemetry::baggage::Baggage;

use super::percent;

const HEADER: &str = "baggage";
/// W3C Baggage, "Limits": implementations must pass on at least this much, and we pass on no more.
pub(super) const MAX_BYTES: usize = 8_192;
/// As [`MAX_BYTES`].
pub(super) const MAX_ENTRIES: usize = 64;

/// Reads no entry of a baggage beyond the limits: a part of the entries would be misleading.
pub(super) fn extract(headers: &HeaderMap) -> Baggage {
    let mut baggage = Baggage::new();
    let values = || headers.get_all(HEADER).iter();
    if values().map(http::HeaderValue::len).sum::<usize>() > MAX_BYTES {
        return baggage;
    }
    let members: Vec<&str> = values()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter(|member| !member.trim().is_empty())
        .collect();
    if members.len() > MAX_ENTRIES {
        return baggage;
    }
    for member in members {
        let (pair, metadata) = member.split_once(';').unwrap_or((member, ""));
        let Some((name, value)) = pair.split_once('=') else {
            continue;
        };
        let name = name.trim();
        if !name.is_empty() && name.bytes().all(is_token) {
            let value = percent::decoded(value.trim());
            baggage.insert_with_metadata(name.to_owned(), value, metadata.trim());
        }
    }
    baggage
}

pub(super) fn inject(baggage: &Baggage, headers: &mut HeaderMap) {
    let mut text = String::new();
    for (name, (value, metadata)) in baggage.iter().take(MAX_ENTRIES) {
        let value = percent::encoded(value.as_str(), is_plain);
        let mut member = format!("{name}={value}");
        let metadata = metadata.as_str();
        // The application may set any metadata. Metadata that no header can hold would invalidate the whole header.
        if !metadata.is_empty() && metadata.bytes().all(is_metadata) {
            // Writing to a string cannot fail.
            let _ = write!(member, ";{metadata}");
        }
        let comma = usize::from(!text.is_empty());
        if text.len() + comma + member.len() <= MAX_BYTES {
            if comma == 1 {
                text.push(',');
            }
            text.push_str(&member);
        }
    }
    if !text.is_empty() {
        super::set(headers, HEADER, &text);
    }
}

/// RFC 7230, "token".
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The recommendation's `baggage-octet`, without the percent sign.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\%".contains(&byte)
}

/// Bytes of a list of properties.
fn is_metadata(byte: u8) -> bool {
    is_plain(byte) || b"; \t%".contains(&byte)
}
