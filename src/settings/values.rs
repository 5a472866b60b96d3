//! Parsers of the values of environment variables.

use std::time::Duration;

use super::Invalid;

/// The expected value of a variable in milliseconds.
pub(crate) const MILLISECONDS_EXPECTED: Invalid = "a whole number of milliseconds";

/// Takes any text.
#[expect(clippy::unnecessary_wraps, reason = "the signature of every parser")]
pub(crate) fn text<T: for<'t> From<&'t str>>(text: &str) -> Result<T, Invalid> {
    Ok(text.into())
}

/// Takes any text as the value of an optional option.
pub(crate) fn some_text<T: for<'t> From<&'t str>>(value: &str) -> Result<Option<T>, Invalid> {
    text(value).map(Some)
}

pub(crate) fn boolean(text: &str) -> Result<bool, Invalid> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("`true` or `false`"),
    }
}

/// Parses a duration with its unit.
pub(crate) fn duration(text: &str) -> Result<Duration, Invalid> {
    humantime::parse_duration(text)
        .map_err(|_| "a duration with its unit, for example `10s`, `500ms` or `5m`")
}

/// Parses a whole number of milliseconds, the unit of OpenTelemetry's variables. OpenTelemetry's specification says of
/// a 0 that limits a duration: "SHOULD be interpreted as indefinite".
pub(crate) fn milliseconds(text: &str) -> Result<Duration, Invalid> {
    let milliseconds = text.parse().map_err(|_| MILLISECONDS_EXPECTED)?;
    Ok(Duration::from_millis(milliseconds))
}

/// Parses a whole number of at least one.
pub(crate) fn count(text: &str) -> Result<usize, Invalid> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or("a whole number above 0")
}

/// Parses a share of a whole, `0.0..=1.0`.
pub(crate) fn ratio(text: &str) -> Option<f64> {
    let ratio = text.parse().ok()?;
    (0.0..=1.0).contains(&ratio).then_some(ratio)
}

/// Converts a name to the case in which names are compared, so that `B3` and `Always_On` are recognised.
pub(crate) fn lowercase(text: &str) -> String {
    text.to_ascii_lowercase()
}

/// Returns the non-empty parts of a list that is separated by commas.
#[cfg(any(feature = "alerting", feature = "server"))]
pub(crate) fn comma_separated(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

/// Parses a list of names that is separated by commas: the known names, each once, and whether all names were known.
pub(crate) fn known_names<T: PartialEq>(
    text: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> (Vec<T>, bool) {
    let (mut values, mut are_all_known) = (Vec::new(), true);
    for name in lowercase(text).split(',').map(str::trim) {
        match parse(name) {
            Some(value) if values.contains(&value) => {}
            Some(value) => values.push(value),
            None => are_all_known = false,
        }
    }
    (values, are_all_known)
}

/// Parses `key=value` pairs that are separated by commas, with values in percent-encoding.
pub(crate) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        let key = key.trim();
        (!key.is_empty()).then_some(())?;
        Some((key.to_owned(), percent_decoded(value.trim())?))
    };
    text.split(',')
        .filter(|part| !part.trim().is_empty())
        .map(pair)
        .collect()
}

/// Decodes percent-encoding; returns `None` for an invalid escape or invalid UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let (bytes, is_valid) = percent_bytes(text);
    String::from_utf8(bytes).ok().filter(|_| is_valid)
}

/// Decodes percent-encoding to bytes. An invalid escape is kept as it is, and the second value is then false.
pub(crate) fn percent_bytes(text: &str) -> (Vec<u8>, bool) {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (mut bytes, mut is_valid) = (Vec::with_capacity(text.len()), true);
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let escaped = match tail {
            [high, low, ..] if *first == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        if let Some((high, low)) = escaped {
            bytes.push((high << 4 | low) as u8);
            rest = &tail[2..];
        } else {
            is_valid &= *first != b'%';
            bytes.push(*first);
        }
    }
    (bytes, is_valid)
}
