//! Named times: "weekdays from nine to five in Berlin", to the letter of Alertmanager's `time_intervals`.
//!
//! An interval holds at a moment when every one of its lists does, and a list holds when one of its ranges does; a
//! list that is empty always holds. Without a location, times are UTC.

mod parse;
#[cfg(test)]
mod tests;

use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::RoutingError;

/// Times with a name, by which routes mute or activate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct NamedInterval {
    /// What routes call them.
    pub name: String,
    /// Any of these.
    pub time_intervals: Vec<IntervalSpec>,
}

/// One interval as it is written: every list must hold, each by one of its ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct IntervalSpec {
    /// Times of the day, the end excluded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub times: Vec<TimeRange>,
    /// Days such as `monday:friday`; the week begins on Sunday.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weekdays: Vec<String>,
    /// Days such as `1:5` or, from the month's end, `-3:-1`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub days_of_month: Vec<String>,
    /// Months such as `may:august` or `1:3`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub months: Vec<String>,
    /// Years such as `2026:2028`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub years: Vec<String>,
    /// A zone of the IANA database, such as `Europe/Berlin`, or `Local`. Default: UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

/// A time of the day, such as 09:00 to 17:00; the end may be 24:00.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeRange {
    /// The first minute, as `HH:MM`.
    pub start_time: String,
    /// The minute after the last one.
    pub end_time: String,
}

/// An interval that has been checked.
#[derive(Clone, Debug)]
pub struct Interval {
    /// Minutes since midnight, the end excluded.
    minutes: Vec<(u16, u16)>,
    weekdays: Vec<(i16, i16)>,
    days: Vec<(i16, i16)>,
    months: Vec<(i16, i16)>,
    years: Vec<(i16, i16)>,
    zone: TimeZone,
}

impl NamedInterval {
    /// Names some intervals.
    #[must_use]
    pub fn new(name: impl Into<String>, time_intervals: Vec<IntervalSpec>) -> Self {
        Self {
            name: name.into(),
            time_intervals,
        }
    }
}

impl Interval {
    /// Checks an interval.
    ///
    /// # Errors
    /// When a range is not one, is empty, or names what does not exist; the error says which key of which interval.
    pub fn new(name: &str, spec: &IntervalSpec) -> Result<Self, RoutingError> {
        parse::interval(spec).map_err(|(key, problem)| {
            RoutingError::new(format!("time interval {name:?}"), key, problem)
        })
    }

    /// Whether the moment lies within.
    #[must_use]
    pub fn contains(&self, now_ms: i64) -> bool {
        let Ok(moment) = Timestamp::from_millisecond(now_ms) else {
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

/// Days count from the month's end where they are negative, and never reach into the next month.
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
