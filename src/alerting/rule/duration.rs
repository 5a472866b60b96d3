//! Parses and formats the durations of rule files: `5m`, `1h30m`, `0`.

use std::time::Duration;

use crate::query::engine::syntax;

/// Parses a duration as Prometheus does; `0` is the only number that is accepted without a unit.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let invalid = || format!("is {text:?}, but must be a duration such as `30s`, `5m` or `1h30m`");
    let milliseconds = syntax::parse_duration(text).map_err(|_| invalid())?;
    Ok(from_milliseconds(milliseconds))
}

/// Formats a duration as Prometheus does: the shortest text that parses to the same duration.
pub(crate) fn format(duration: Duration) -> String {
    syntax::format_duration(to_milliseconds(duration))
}

pub(crate) fn to_milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

pub(crate) fn from_milliseconds(milliseconds: i64) -> Duration {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed_as_in_prometheus() {
        for (text, seconds) in [
            ("0", 0),
            ("0s", 0),
            ("5m", 300),
            ("1h30m", 5400),
            ("1d", 86_400),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "5", "-5m", "5 m", "5m1h", "1.5h", "5M", "m"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_formatted_as_in_prometheus() {
        for (milliseconds, text) in [
            (0, "0s"),
            (5_400_000, "1h30m"),
            (604_800_000, "1w"),
            (1500, "1s500ms"),
        ] {
            assert_eq!(format(Duration::from_millis(milliseconds)), text);
        }
    }
}
