//! Values of variables: numbers, lists, pairs.

use std::time::Duration;

use super::MILLISECONDS;
use crate::config::TraceExporter;

/// 0 is a time without an end where it is one that something may take: "SHOULD be interpreted as indefinite".
pub(super) fn milliseconds(text: &str, place: &mut Duration) -> Result<(), &'static str> {
    let milliseconds = text.parse().map_err(|_| MILLISECONDS)?;
    *place = Duration::from_millis(milliseconds);
    Ok(())
}

/// How many, at least one.
pub(super) fn count(text: &str) -> Result<usize, &'static str> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or("a whole number above 0")
}

pub(super) fn share(text: &str) -> Option<f64> {
    let share = text.parse().ok()?;
    (0.0..=1.0).contains(&share).then_some(share)
}

/// The name of one of several, as it is compared: `B3` and `Always_On` are what their writers mean.
pub(super) fn lower(text: &str) -> String {
    text.to_ascii_lowercase()
}

/// Names between commas, each once, and whether all of them are known.
pub(super) fn list<T: PartialEq>(text: &str, known: impl Fn(&str) -> Option<T>) -> (Vec<T>, bool) {
    let (mut found, mut is_whole) = (Vec::new(), true);
    for name in lower(text).split(',').map(str::trim) {
        match known(name) {
            Some(value) if found.contains(&value) => {}
            Some(value) => found.push(value),
            None => is_whole = false,
        }
    }
    (found, is_whole)
}

pub(super) fn exporters(name: &str) -> Option<TraceExporter> {
    match name {
        "logging" => Some(TraceExporter::Console),
        "zipkin" if !cfg!(feature = "zipkin") => None,
        name => TraceExporter::ALL
            .into_iter()
            .find(|exporter| exporter.as_str() == name),
    }
}

/// `key=value` pairs between commas; values are percent-encoded.
pub(super) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
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

/// `None` for an escape that is none, or bytes that are no text.
fn percent_decoded(text: &str) -> Option<String> {
    let (bytes, is_whole) = percent_bytes(text);
    String::from_utf8(bytes).ok().filter(|_| is_whole)
}

/// The bytes that a text in percent-encoding stands for; an escape that is none stays, and it is not whole then.
pub(crate) fn percent_bytes(text: &str) -> (Vec<u8>, bool) {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (mut bytes, mut is_whole) = (Vec::with_capacity(text.len()), true);
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
            is_whole &= *first != b'%';
            bytes.push(*first);
        }
    }
    (bytes, is_whole)
}
