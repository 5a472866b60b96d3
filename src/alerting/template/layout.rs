//! Writes a time in Go's layout language: the layout is the time `Mon Jan 2 15:04:05 MST 2006`, written as wanted.

use jiff::{ZonedDateTime, fmt::strtime};

/// The elements of a layout with the same time in `strftime`'s language. A longer element stands before its prefix.
const ELEMENTS: &[(&str, &str)] = &[
    ("January", "%B"),
    ("Jan", "%b"),
    ("Monday", "%A"),
    ("Mon", "%a"),
    ("MST", "%Z"),
    ("2006", "%Y"),
    ("__2", "%-j"),
    ("_2", "%e"),
    ("002", "%j"),
    ("01", "%m"),
    ("02", "%d"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("06", "%y"),
    ("15", "%H"),
    ("1", "%-m"),
    ("2", "%-d"),
    ("3", "%-I"),
    ("4", "%-M"),
    ("5", "%-S"),
    ("PM", "%p"),
    ("pm", "%P"),
    ("Z07:00:00", "Z%::z"),
    ("Z070000", "Z%::z"),
    ("Z07:00", "Z%:z"),
    ("Z0700", "Z%z"),
    ("Z07", "Z%z"),
    ("-07:00:00", "%::z"),
    ("-070000", "%::z"),
    ("-07:00", "%:z"),
    ("-0700", "%z"),
    ("-07", "%z"),
];

/// Writes the time in the layout.
pub(super) fn format(time: &ZonedDateTime, layout: &str) -> String {
    let mut out = String::with_capacity(layout.len());
    let mut rest = layout;
    while let Some(c) = rest.chars().next() {
        if let Some(length) = fraction(time, rest, &mut out) {
            rest = &rest[length..];
            continue;
        }
        let element = ELEMENTS.iter().find(|(element, _)| {
            let Some(after) = rest.strip_prefix(element) else {
                return false;
            };
            match *element {
                // `January` is found before; `Janet` is no month, as in Go.
                "Jan" | "Mon" => !after.starts_with(|c: char| c.is_ascii_lowercase()),
                // `_2006` is an underscore and a year.
                "_2" => !after.starts_with("006"),
                _ => true,
            }
        });
        let Some((element, format)) = element else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        out.push_str(&written(time, element, format));
        rest = &rest[element.len()..];
    }
    out
}

fn written(time: &ZonedDateTime, element: &str, format: &str) -> String {
    let (format, has_zulu) = match format.strip_prefix('Z') {
        Some(format) => (format, true),
        None => (format, false),
    };
    if has_zulu && time.offset().is_zero() {
        return "Z".to_owned();
    }
    let text = strtime::format(format, time).unwrap_or_default();
    match element {
        "__2" => format!("{:>3}", text.trim()),
        "-070000" | "Z070000" => text.replace(':', ""),
        "-07" | "Z07" => text.chars().take(3).collect(),
        _ => text,
    }
}

/// Writes a fraction of a second if the layout continues with one, and returns its length in the layout: `.000` has
/// three digits, `.999` has three at most and no trailing zeros.
fn fraction(time: &ZonedDateTime, layout: &str, out: &mut String) -> Option<usize> {
    let separator = layout.chars().next().filter(|c| matches!(c, '.' | ','))?;
    let digit = layout[1..]
        .chars()
        .next()
        .filter(|c| matches!(c, '0' | '9'))?;
    let after = layout[1..].trim_start_matches(digit);
    let count = layout.len() - 1 - after.len();
    if after.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let digits: String = format!("{:09}", time.subsec_nanosecond());
    let digits: String = digits
        .chars()
        .chain(std::iter::repeat('0'))
        .take(count.min(9))
        .collect();
    let digits = if digit == '9' {
        digits.trim_end_matches('0')
    } else {
        &digits
    };
    if digit == '0' || !digits.is_empty() {
        out.push(separator);
        out.push_str(digits);
    }
    Some(1 + count)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a test that cannot go on says so by panicking"
    )]

    use super::super::time::Time;

    /// The expected texts are Go's, by Alertmanager 0.25.
    #[test]
    fn a_layout_is_written_as_go_writes_it() {
        let time = Time::utc(1_795_462_834_028);
        let layout = "Mon Jan _2 15:04:05.000 MST 2006 Z07:00 -0700 PM pm 3 03 002 __2 Monday January 1 01 06 .999";
        assert_eq!(
            time.format(layout),
            "Mon Nov 23 19:40:34.028 UTC 2026 Z +0000 PM pm 7 07 327 327 Monday November 11 11 26 .028"
        );
        let paris = time.in_zone("Europe/Paris").unwrap();
        assert_eq!(
            paris.format("2 January 2006, 15:04 MST -07 Z0700"),
            "23 November 2026, 20:40 CET +01 +0100"
        );
        assert_eq!(paris.format("Janet Month ,99 é"), "Janet Month ,02 é");
        assert_eq!(paris.format(".000 .0009 _2006"), ".028 .0009 _2026");
    }

    #[test]
    fn a_time_prints_as_go_prints_it() {
        assert_eq!(
            Time::utc(super::super::time::ZERO_TIME_MS).printed(),
            "0001-01-01 00:00:00 +0000 UTC"
        );
        assert_eq!(Time::utc(500).json(), "1970-01-01T00:00:00.5Z");
    }
}
