//! Writes numbers for people, as Prometheus does.

use super::format;
use super::format::significant;
use super::time::{self, Time};
use super::value::Value;

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];
const BINARY: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];

/// Returns the number of a value: a number, a text that holds a number, or a duration in seconds.
pub(super) fn float(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(value) => Ok(*value),
        Value::Int(value) => Ok(*value as f64),
        Value::Duration(nanoseconds) => Ok(*nanoseconds as f64 / 1e9),
        other => match other.as_text() {
            Some(text) => format::parse_float(text)
                .ok_or_else(|| format!("strconv.ParseFloat: parsing {text:?}: invalid syntax")),
            None => Err(format!("can't convert {} to float", other.type_name())),
        },
    }
}

fn scaled(
    value: f64,
    factor: f64,
    units: &[&'static str],
    fits: impl Fn(f64) -> bool,
) -> (f64, &'static str) {
    let (mut value, mut unit) = (value, "");
    for next in units {
        if fits(value.abs()) {
            break;
        }
        unit = next;
        value *= factor;
    }
    (value, unit)
}

/// Divides rather than multiplying by an inexact inverse.
fn divided(value: f64, divisor: f64, units: &[&'static str]) -> (f64, &'static str) {
    let (mut value, mut unit) = (value, "");
    for next in units {
        if value.abs() < divisor {
            break;
        }
        unit = next;
        value /= divisor;
    }
    (value, unit)
}

pub(super) fn plain(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return significant(value, 4);
    }
    let (value, unit) = if value.abs() >= 1.0 {
        divided(value, 1000.0, &LARGE)
    } else {
        scaled(value, 1000.0, &SMALL, |size| size >= 1.0)
    };
    format!("{}{unit}", significant(value, 4))
}

pub(super) fn binary(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return significant(value, 4);
    }
    let (value, unit) = divided(value, 1024.0, &BINARY);
    format!("{}{unit}", significant(value, 4))
}

pub(super) fn duration(value: f64) -> String {
    if !value.is_finite() {
        return significant(value, 4);
    }
    if value == 0.0 {
        return format!("{}s", significant(value, 4));
    }
    if value.abs() < 1.0 {
        let (value, unit) = scaled(value, 1000.0, &SMALL, |size| size >= 1.0);
        return format!("{}{unit}s", significant(value, 4));
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let value = value.abs();
    let whole = value as i64;
    let (seconds, minutes) = (whole % 60, whole / 60 % 60);
    let (hours, days) = (whole / 3600 % 24, whole / 86_400);
    if days != 0 {
        format!("{sign}{days}d {hours}h {minutes}m {seconds}s")
    } else if hours != 0 {
        format!("{sign}{hours}h {minutes}m {seconds}s")
    } else if minutes != 0 {
        format!("{sign}{minutes}m {seconds}s")
    } else {
        format!("{sign}{}s", significant(value, 4))
    }
}

pub(super) fn percentage(value: f64) -> String {
    format!("{}%", significant(value * 100.0, 4))
}

pub(super) fn timestamp(value: f64) -> Result<String, String> {
    if !value.is_finite() {
        return Ok(significant(value, 4));
    }
    time::from_seconds(value).map(|milliseconds| Time::utc(milliseconds).printed())
}
