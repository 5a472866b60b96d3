//! W3C Baggage: names and values that go along with a trace.

use std::fmt::Write as _;

use http::HeaderMap;
use opentelemetry::baggage::Baggage;

const HEADER: &str = "baggage";
/// W3C Baggage, "Limits": what must be passed on at least, and we pass on at most.
const MOST_BYTES: usize = 8_192;
const MOST_ENTRIES: usize = 64;

/// Nothing at all of what is too large: half of it would be misleading.
pub(super) fn extract(headers: &HeaderMap) -> Baggage {
    let mut baggage = Baggage::new();
    let values = || headers.get_all(HEADER).iter();
    if values().map(http::HeaderValue::len).sum::<usize>() > MOST_BYTES {
        return baggage;
    }
    let members = values()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    for member in members.take(MOST_ENTRIES) {
        let (pair, metadata) = member.split_once(';').unwrap_or((member, ""));
        let Some((name, value)) = pair.split_once('=') else {
            continue;
        };
        let name = name.trim();
        if !name.is_empty()
            && name.bytes().all(is_token)
            && let Some(value) = crate::config::percent_decoded(value.trim())
        {
            baggage.insert_with_metadata(name.to_owned(), value, metadata.trim());
        }
    }
    baggage
}

pub(super) fn inject(baggage: &Baggage, headers: &mut HeaderMap) {
    let mut text = String::new();
    for (name, (value, metadata)) in baggage.iter().take(MOST_ENTRIES) {
        let mut member = format!("{name}=");
        for byte in value.as_str().bytes() {
            if is_plain(byte) {
                member.push(char::from(byte));
            } else {
                // Writing to a string cannot fail.
                let _ = write!(member, "%{byte:02X}");
            }
        }
        if !metadata.as_str().is_empty() {
            let _ = write!(member, ";{}", metadata.as_str());
        }
        if text.len() + member.len() < MOST_BYTES {
            if !text.is_empty() {
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
