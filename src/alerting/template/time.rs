//! Computes with times and durations, as Go's package `time` does.

use jiff::{Timestamp, ZonedDateTime, tz::TimeZone};

use super::layout;
use super::value::Value;

/// Go's zero time, year 1, in milliseconds since the epoch: the end of an alert that fires.
pub(in crate::alerting) const ZERO_TIME_MS: i64 = -62_135_596_800_000;

const NANOSECONDS_PER_MILLISECOND: i64 = 1_000_000;
const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

/// A time and the zone in which it is written.
#[derive(Clone, Debug)]
pub(in crate::alerting) struct Time {
    /// Milliseconds since the epoch.
    pub(super) milliseconds: i64,
    zone: TimeZone,
}

impl Time {
    pub(in crate::alerting) fn utc(milliseconds: i64) -> Self {
        Self {
            milliseconds,
            zone: TimeZone::UTC,
        }
    }

    /// The same time in the zone of this name, such as `Europe/Paris`.
    pub(super) fn in_zone(&self, name: &str) -> Result<Self, String> {
        let zone = match name {
            "" | "UTC" | "Local" => TimeZone::UTC,
            name => TimeZone::get(name).map_err(|_| format!("unknown time zone {name}"))?,
        };
        Ok(Self {
            milliseconds: self.milliseconds,
            zone,
        })
    }

    pub(super) fn zoned(&self) -> Option<ZonedDateTime> {
        let timestamp = Timestamp::from_millisecond(self.milliseconds).ok()?;
        Some(timestamp.to_zoned_datetime(self.zone.clone()))
    }

    /// Writes the time in Go's layout: `2006-01-02 15:04:05`.
    pub(super) fn format(&self, layout: &str) -> String {
        match self.zoned() {
            Some(time) => layout::format(&time, layout),
            None => self.milliseconds.to_string(),
        }
    }

    /// `2009-11-10 23:00:00.5 +0000 UTC`, as Go prints a time.
    pub(super) fn printed(&self) -> String {
        self.format("2006-01-02 15:04:05.999999999 -0700 MST")
    }

    /// RFC 3339, as Go writes a time in JSON.
    pub(super) fn json(&self) -> String {
        self.format("2006-01-02T15:04:05.999999999Z07:00")
    }

    /// Nanoseconds from `other` to this time. Go stops at the ends of `int64`, too.
    pub(super) fn since(&self, other: &Self) -> i64 {
        let milliseconds = self.milliseconds.saturating_sub(other.milliseconds);
        milliseconds.saturating_mul(NANOSECONDS_PER_MILLISECOND)
    }

    /// Returns the result of a method, or `None` if a time has no such method.
    pub(super) fn method(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        Some(match (name, args) {
            ("Format", [layout]) => match layout.as_text() {
                Some(layout) => Ok(Value::text(self.format(layout))),
                None => Err(wrong_type("string", layout)),
            },
            ("Sub", [Value::Time(other)]) => Ok(Value::Duration(self.since(other))),
            ("Before", [Value::Time(other)]) => {
                Ok(Value::Bool(self.milliseconds < other.milliseconds))
            }
            ("After", [Value::Time(other)]) => {
                Ok(Value::Bool(self.milliseconds > other.milliseconds))
            }
            ("Equal", [Value::Time(other)]) => {
                Ok(Value::Bool(self.milliseconds == other.milliseconds))
            }
            ("Sub" | "Before" | "After" | "Equal", [other]) => Err(wrong_type("time.Time", other)),
            ("Add", [Value::Duration(nanoseconds) | Value::Int(nanoseconds)]) => {
                let milliseconds = nanoseconds / NANOSECONDS_PER_MILLISECOND;
                Ok(Value::Time(Self {
                    milliseconds: self.milliseconds.saturating_add(milliseconds),
                    zone: self.zone.clone(),
                }))
            }
            ("Add", [other]) => Err(wrong_type("time.Duration", other)),
            ("Format" | "Sub" | "Before" | "After" | "Equal" | "Add", _) => {
                Err(wrong_count(name, 1, args.len()))
            }
            (_, []) => Ok(self.attribute(name)?),
            (_, _) => {
                self.attribute(name)?;
                Err(wrong_count(name, 0, args.len()))
            }
        })
    }

    /// The methods that take no arguments.
    fn attribute(&self, name: &str) -> Option<Value> {
        Some(match name {
            "Unix" => Value::Int(self.milliseconds.div_euclid(1000)),
            "UnixMilli" => Value::Int(self.milliseconds),
            "UnixNano" => Value::Int(
                self.milliseconds
                    .saturating_mul(NANOSECONDS_PER_MILLISECOND),
            ),
            "IsZero" => Value::Bool(self.milliseconds == ZERO_TIME_MS),
            "String" => Value::text(self.printed()),
            // The zone of this machine says nothing about the zone of the reader: as in a container, it is UTC.
            "UTC" | "Local" => Value::time(self.milliseconds),
            "Month" => Value::text(self.format("January")),
            "Weekday" => Value::text(self.format("Monday")),
            _ => {
                let time = self.zoned()?;
                Value::Int(match name {
                    "Year" => i64::from(time.year()),
                    "Day" => i64::from(time.day()),
                    "Hour" => i64::from(time.hour()),
                    "Minute" => i64::from(time.minute()),
                    "Second" => i64::from(time.second()),
                    "Nanosecond" => i64::from(time.subsec_nanosecond()),
                    "YearDay" => i64::from(time.day_of_year()),
                    _ => return None,
                })
            }
        })
    }
}

fn wrong_type(expected: &str, given: &Value) -> String {
    let given = given.type_name();
    format!("wrong type for value; expected {expected}; got {given}")
}

/// Go's message about the number of a method's arguments.
pub(super) fn wrong_count(name: &str, expected: usize, given: usize) -> String {
    format!("wrong number of args for {name}: want {expected} got {given}")
}

/// Milliseconds since the epoch, or Prometheus's error if nanoseconds do not fit into `int64`.
pub(super) fn from_seconds(seconds: f64) -> Result<i64, String> {
    let nanoseconds = seconds * 1e9;
    // 2^63: the first float that does not fit.
    if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&nanoseconds) {
        let value = super::format::float(seconds);
        return Err(format!(
            "{value} cannot be represented as a nanoseconds timestamp since it overflows int64"
        ));
    }
    Ok(nanoseconds as i64 / NANOSECONDS_PER_MILLISECOND)
}

/// `1h2m3.5s`, as Go prints a duration.
pub(super) fn printed_duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let size = nanoseconds.unsigned_abs();
    if size == 0 {
        return "0s".to_owned();
    }
    if size < NANOSECONDS_PER_SECOND {
        let (unit, digits) = match size {
            0..1_000 => ("ns", 0),
            1_000..1_000_000 => ("µs", 3),
            _ => ("ms", 6),
        };
        return format!("{sign}{}{unit}", decimal(size, digits));
    }
    let (minutes, rest) = (
        size / (60 * NANOSECONDS_PER_SECOND),
        size % (60 * NANOSECONDS_PER_SECOND),
    );
    let seconds = decimal(rest, 9);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// The number with its point before the last `digits` digits, without trailing zeros.
fn decimal(number: u64, digits: u32) -> String {
    let unit = 10_u64.pow(digits);
    let (whole, rest) = (number / unit, number % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let rest = format!("{rest:0width$}", width = digits as usize);
    format!("{whole}.{}", rest.trim_end_matches('0'))
}

/// Returns the result of a method of a duration, or `None` if durations have no such method.
pub(super) fn duration_method(
    nanoseconds: i64,
    name: &str,
    args: &[Value],
) -> Option<Result<Value, String>> {
    let seconds = nanoseconds as f64 / 1e9;
    let value = match (name, args) {
        ("Round" | "Truncate", [Value::Duration(unit) | Value::Int(unit)]) => {
            let rounds = name == "Round";
            return Some(Ok(Value::Duration(rounded(nanoseconds, *unit, rounds))));
        }
        ("Round" | "Truncate", [other]) => return Some(Err(wrong_type("time.Duration", other))),
        ("Round" | "Truncate", _) => return Some(Err(wrong_count(name, 1, args.len()))),
        ("Hours", _) => Value::Float(seconds / 3600.0),
        ("Minutes", _) => Value::Float(seconds / 60.0),
        ("Seconds", _) => Value::Float(seconds),
        ("Milliseconds", _) => Value::Int(nanoseconds / NANOSECONDS_PER_MILLISECOND),
        ("Microseconds", _) => Value::Int(nanoseconds / 1_000),
        ("Nanoseconds", _) => Value::Int(nanoseconds),
        ("Abs", _) => Value::Duration(nanoseconds.saturating_abs()),
        ("String", _) => Value::text(printed_duration(nanoseconds)),
        _ => return None,
    };
    Some(if args.is_empty() {
        Ok(value)
    } else {
        Err(wrong_count(name, 0, args.len()))
    })
}

/// A multiple of `unit`: the nearest, or the next towards zero.
fn rounded(nanoseconds: i64, unit: i64, rounds: bool) -> i64 {
    if unit <= 0 {
        return nanoseconds;
    }
    let rest = nanoseconds % unit;
    let truncated = nanoseconds - rest;
    if rounds && rest.unsigned_abs() >= unit.unsigned_abs().div_ceil(2) {
        truncated.saturating_add(unit.saturating_mul(rest.signum()))
    } else {
        truncated
    }
}
