//! Parses the ranges of a time interval.

use jiff::tz::TimeZone;

use super::{Interval, IntervalSpec, TimeRange};

const WEEKDAYS: [&str; 7] = [
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The key, and the problem with its value.
type Problem = (&'static str, String);

pub(super) fn interval(spec: &IntervalSpec) -> Result<Interval, Problem> {
    let zone = match spec.location.as_deref() {
        None | Some("" | "UTC") => TimeZone::UTC,
        Some("Local") => TimeZone::system(),
        Some(name) => TimeZone::get(name).map_err(|_| {
            let problem =
                format!("{name:?} is not a time zone of this machine, such as `Europe/Berlin`");
            ("location", problem)
        })?,
    };
    let ranges = |key: &'static str, texts: &[String], read: fn(&str) -> Result<i16, String>| {
        texts
            .iter()
            .map(|text| range(text, read).map_err(|problem| (key, problem)))
            .collect::<Result<Vec<_>, Problem>>()
    };
    let days = ranges("days_of_month", &spec.days_of_month, day_of_month)?;
    for (from, to) in &days {
        check_days(*from, *to).map_err(|problem| ("days_of_month", problem))?;
    }
    let ordered = |key: &'static str, ranges: Vec<(i16, i16)>| match ranges
        .iter()
        .find(|(from, to)| from > to)
    {
        Some(_) => Err((key, "a range ends before it begins".to_owned())),
        None => Ok(ranges),
    };
    Ok(Interval {
        minutes: spec
            .times
            .iter()
            .map(|range| times(range).map_err(|problem| ("times", problem)))
            .collect::<Result<_, _>>()?,
        weekdays: ordered("weekdays", ranges("weekdays", &spec.weekdays, weekday)?)?,
        days,
        months: ordered("months", ranges("months", &spec.months, month)?)?,
        years: ordered("years", ranges("years", &spec.years, year)?)?,
        zone,
    })
}

/// Parses `a:b`, or `a` alone.
fn range(text: &str, read: fn(&str) -> Result<i16, String>) -> Result<(i16, i16), String> {
    let text = text.to_ascii_lowercase();
    match text.split_once(':') {
        Some((from, to)) => Ok((read(from)?, read(to)?)),
        None => read(&text).map(|value| (value, value)),
    }
}

fn times(range: &TimeRange) -> Result<(u16, u16), String> {
    let (start, end) = (minute(&range.start_time)?, minute(&range.end_time)?);
    if start >= end {
        return Err(format!(
            "the start {} must lie before the end {}",
            range.start_time, range.end_time
        ));
    }
    Ok((start, end))
}

fn minute(text: &str) -> Result<u16, String> {
    let invalid = || format!("{text:?} is not a time from `00:00` to `24:00`");
    let (hour, minute) = text.split_once(':').ok_or_else(invalid)?;
    let two_digits = |text: &str| {
        let is_two = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_two.then(|| text.parse::<u16>().ok()).flatten()
    };
    match (two_digits(hour), two_digits(minute)) {
        (Some(24), Some(0)) => Ok(24 * 60),
        (Some(hour @ 0..=23), Some(minute @ 0..=59)) => Ok(hour * 60 + minute),
        _ => Err(invalid()),
    }
}

fn weekday(text: &str) -> Result<i16, String> {
    position(&WEEKDAYS, text).ok_or_else(|| format!("{text:?} is not a day such as `monday`"))
}

fn month(text: &str) -> Result<i16, String> {
    let number = text.parse().ok().filter(|month| (1..=12).contains(month));
    number
        .or_else(|| position(&MONTHS, text).map(|at| at + 1))
        .ok_or_else(|| format!("{text:?} is not a month such as `may` or `5`"))
}

fn day_of_month(text: &str) -> Result<i16, String> {
    text.parse()
        .ok()
        .filter(|day: &i16| *day != 0 && (-31..=31).contains(day))
        .ok_or_else(|| format!("{text:?} is not a day from 1 to 31 or from -31 to -1"))
}

fn year(text: &str) -> Result<i16, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is not a year such as `2026`"))
}

fn position(names: &[&str], text: &str) -> Option<i16> {
    let at = names.iter().position(|name| *name == text)?;
    i16::try_from(at).ok()
}

/// Checks that a range is not empty in any month, including the shortest.
fn check_days(from: i16, to: i16) -> Result<(), String> {
    if from < 0 && to > 0 {
        return Err("the end must be negative where the start is".to_owned());
    }
    let in_shortest = |day: i16| if day < 0 { 28 + day } else { day };
    if in_shortest(from) > in_shortest(to) {
        return Err(format!("day {to} always comes before day {from}"));
    }
    Ok(())
}
