//! Times in templates.

use jiff::{Timestamp, tz::TimeZone};

use super::value::Value;

/// Milliseconds since the epoch, or Prometheus's error where Go's clock has no such time.
pub(super) fn from_seconds(seconds: f64) -> Result<i64, String> {
    let nanoseconds = seconds * 1e9;
    // 2^63: the first float that does not fit.
    if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&nanoseconds) {
        let value = super::format::float(seconds);
        return Err(format!(
            "{value} cannot be represented as a nanoseconds timestamp since it overflows int64"
        ));
    }
    Ok(nanoseconds as i64 / 1_000_000)
}

/// `2009-11-10 23:00:00.5 +0000 UTC`, as Go prints a time.
pub(super) fn printed(milliseconds: i64) -> String {
    let Some(time) = utc(milliseconds) else {
        return milliseconds.to_string();
    };
    let mut out = time.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let fraction = milliseconds.rem_euclid(1000);
    if fraction != 0 {
        let digits = format!("{fraction:03}");
        out.push('.');
        out.push_str(digits.trim_end_matches('0'));
    }
    out.push_str(" +0000 UTC");
    out
}

/// The methods of a time that take no arguments and give a number or a name.
pub(super) fn method(milliseconds: i64, name: &str) -> Option<Value> {
    let time = utc(milliseconds)?;
    Some(match name {
        "Year" => Value::Int(i64::from(time.year())),
        "Month" => Value::text(time.strftime("%B").to_string()),
        "Day" => Value::Int(i64::from(time.day())),
        "Hour" => Value::Int(i64::from(time.hour())),
        "Minute" => Value::Int(i64::from(time.minute())),
        "Second" => Value::Int(i64::from(time.second())),
        "YearDay" => Value::Int(i64::from(time.day_of_year())),
        "Weekday" => Value::text(time.strftime("%A").to_string()),
        "Unix" => Value::Int(milliseconds.div_euclid(1000)),
        "UnixMilli" => Value::Int(milliseconds),
        "String" => Value::text(printed(milliseconds)),
        "UTC" => Value::Time(milliseconds),
        _ => return None,
    })
}

fn utc(milliseconds: i64) -> Option<jiff::civil::DateTime> {
    let timestamp = Timestamp::from_millisecond(milliseconds).ok()?;
    Some(TimeZone::UTC.to_datetime(timestamp))
}
