//! Parses and formats the durations of routing configurations: `30s`, `1h30m`, as in Prometheus and Alertmanager.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// Milliseconds per unit, in the order in which the units may appear; a unit appears at most once.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Formats a duration in Alertmanager's syntax.
pub(super) fn to_text(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, ms) in UNITS {
        // Years and weeks are valid, but `10d` is easier to read than `1w3d`.
        if unit == "y" || unit == "w" || rest < ms {
            continue;
        }
        text.push_str(&(rest / ms).to_string());
        text.push_str(unit);
        rest %= ms;
    }
    text
}

/// Parses a duration; `None` for an invalid text.
pub(super) fn from_text(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut total, mut next_unit) = (text, 0u64, 0);
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.len()
            - rest
                .trim_start_matches(|c: char| c.is_ascii_alphabetic())
                .len();
        let at = UNITS
            .iter()
            .position(|(unit, _)| *unit == &rest[..letters])?;
        if at < next_unit {
            return None;
        }
        next_unit = at + 1;
        total = total.checked_add(number.checked_mul(UNITS[at].1)?)?;
        rest = &rest[letters..];
    }
    (!text.is_empty()).then(|| Duration::from_millis(total))
}

fn deserialize_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(deserializer)?)
}

fn parse<E: serde::de::Error>(text: &str) -> Result<Duration, E> {
    from_text(text).ok_or_else(|| {
        E::custom(format!(
            "duration is {text:?}, but must be a duration such as `30s` or `5m`"
        ))
    })
}

/// Deserializes a duration; for `#[serde(deserialize_with)]`.
pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserialize_one(deserializer)
}

/// Deserializes a duration that is optional in its struct; for `#[serde(deserialize_with)]`.
pub(super) fn optional_duration<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    match Option::<String>::deserialize(deserializer)? {
        Some(text) => parse(&text).map(Some),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formatted_duration_parses_to_the_same_duration() {
        for (text, ms) in [
            ("0s", 0),
            ("30s", 30_000),
            ("1h30m", 5_400_000),
            ("10d", 864_000_000),
            ("1s500ms", 1_500),
        ] {
            assert_eq!(from_text(text), Some(Duration::from_millis(ms)), "{text}");
            assert_eq!(to_text(Duration::from_millis(ms)), text);
        }
        for invalid in ["", "5", "m5", "1m1h", "1h1h", "-1s", "1.5h", "5 m"] {
            assert_eq!(from_text(invalid), None, "{invalid}");
        }
    }
}
