//! Evaluates time intervals such as "weekdays from 09:00 to 17:00 in Berlin", with the semantics of Alertmanager's
//! `time_intervals`.
//!
//! An interval contains a time if each of its lists does, and a list contains a time if one of its ranges does; an
//! empty list contains every time. Without a location, times are UTC.

mod parse;
#[cfg(test)]
mod tests;

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::RoutingError;
use crate::runtime::unix_ms::UnixMs;

/// A named set of intervals, during which routes are muted or active.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct NamedInterval {
    /// Name by which routes refer to the intervals.
    pub name: String,
    /// The intervals; a time in any of them is contained.
    pub time_intervals: Vec<IntervalSpec>,
}

/// An interval as written in the configuration; it contains a time if every list does, by one of its ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct IntervalSpec {
    /// Times of day; the end is excluded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub times: Vec<TimeRange>,
    /// Weekdays such as `monday:friday`; the week begins on Sunday.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weekdays: Vec<String>,
    /// Days such as `1:5` or, counted from the end of the month, `-3:-1`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub days_of_month: Vec<String>,
    /// Months such as `may:august` or `1:3`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub months: Vec<String>,
    /// Years such as `2026:2028`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub years: Vec<String>,
    /// A time zone of the IANA database, such as `Europe/Berlin`, or `Local`. Default: UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

/// A range of times of day, such as 09:00 to 17:00; the end may be 24:00.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TimeRange {
    /// The first minute, as `HH:MM`.
    pub start_time: String,
    /// The minute after the last minute, as `HH:MM`.
    pub end_time: String,
}

/// A validated interval.
#[derive(Clone, Debug)]
pub(crate) struct Interval {
    /// Minutes since midnight; the end is excluded.
    minutes: Vec<(u16, u16)>,
    weekdays: Vec<(i16, i16)>,
    days: Vec<(i16, i16)>,
    months: Vec<(i16, i16)>,
    years: Vec<(i16, i16)>,
    zone: TimeZone,
}

impl NamedInterval {
    /// Creates a named set of intervals.
    #[must_use]
    pub fn new(name: impl Into<String>, time_intervals: Vec<IntervalSpec>) -> Self {
        Self {
            name: name.into(),
            time_intervals,
        }
    }
}

impl Interval {
    /// Validates an interval.
    ///
    /// # Errors
    /// When a range is malformed or empty, or a name in it is unknown; the error names the interval and the key.
    pub(crate) fn new(name: &str, spec: &IntervalSpec) -> Result<Self, RoutingError> {
        parse::interval(spec).map_err(|(key, problem)| {
            RoutingError::new(format!("time interval {name:?}"), key, problem)
        })
    }

    /// Returns whether the interval contains the time.
    pub(crate) fn contains(&self, now: UnixMs) -> bool {
        let Ok(moment) = Timestamp::from_millisecond(now.as_i64()) else {
            return false;
        };
        let local = moment.to_zoned_datetime(self.zone.clone());
        let minute = u16::try_from(local.hour()).unwrap_or(0) * 60
            + u16::try_from(local.minute()).unwrap_or(0);
        let is_in = |ranges: &[(i16, i16)], value: i16| {
            ranges.is_empty()
                || ranges
                    .iter()
                    .any(|(from, to)| (*from..=*to).contains(&value))
        };
        (self.minutes.is_empty()
            || self
                .minutes
                .iter()
                .any(|(from, to)| (*from..*to).contains(&minute)))
            && is_day_in(
                &self.days,
                i16::from(local.day()),
                i16::from(local.days_in_month()),
            )
            && is_in(&self.months, i16::from(local.month()))
            && is_in(
                &self.weekdays,
                i16::from(local.weekday().to_sunday_zero_offset()),
            )
            && is_in(&self.years, local.year())
    }
}

/// Returns whether a day is in the ranges. Negative days count from the end of the month; a range is cut off at the end
/// of the month.
fn is_day_in(ranges: &[(i16, i16)], day: i16, days_in_month: i16) -> bool {
    let of_this_month = |day: i16| {
        if day < 0 {
            days_in_month + day + 1
        } else {
            day
        }
    };
    ranges.is_empty()
        || ranges.iter().any(|(from, to)| {
            let (from, to) = (of_this_month(*from), of_this_month(*to));
            from <= days_in_month && (from..=to.min(days_in_month)).contains(&day)
        })
}
