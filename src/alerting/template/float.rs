//! Writes floats as Go's `strconv` does.

/// The decimal digits of a finite value without trailing zeros, and the number of digits before the point.
struct Digits {
    digits: String,
    point: i32,
}

/// Returns the digits. `precision` counts digits after the first; `None` gives the shortest digits that parse to the value.
fn digits(value: f64, precision: Option<usize>) -> Digits {
    let text = match precision {
        Some(precision) => format!("{:.*e}", precision, value.abs()),
        None => format!("{:e}", value.abs()),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits = mantissa.replace('.', "");
    let trimmed = digits.trim_end_matches('0');
    if trimmed.is_empty() {
        return Digits {
            digits: String::new(),
            point: 0,
        };
    }
    Digits {
        digits: trimmed.to_owned(),
        point: exponent.parse::<i32>().unwrap_or(0) + 1,
    }
}

/// `NaN`, `+Inf`, `-Inf`
fn special(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some("NaN")
    } else if value.is_infinite() {
        Some(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else {
        None
    }
}

/// `%e`: one digit, the point, the rest, and two digits of exponent at least.
pub(crate) fn exponent(value: f64, precision: Option<usize>) -> String {
    if let Some(special) = special(value) {
        return special.to_owned();
    }
    let text = match precision {
        Some(precision) => format!("{value:.precision$e}"),
        None => format!("{value:e}"),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{exponent:0>2}")
}

/// `%f`
pub(super) fn fixed(value: f64, precision: Option<usize>) -> String {
    match (special(value), precision) {
        (Some(special), _) => special.to_owned(),
        (None, Some(precision)) => format!("{value:.precision$}"),
        (None, None) => value.to_string(),
    }
}

/// `%g`: with an exponent where the plain number would be long.
pub(super) fn general(value: f64, precision: Option<usize>) -> String {
    if let Some(special) = special(value) {
        return special.to_owned();
    }
    let precision = precision.map(|precision| precision.max(1));
    let Digits { digits, point } = digits(value, precision.map(|precision| precision - 1));
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let limit = match precision.map(|p| i32::try_from(p).unwrap_or(i32::MAX)) {
        // Go counts the shortest text as a text of six digits here.
        None => 6,
        Some(precision) if precision > count && count >= point => count,
        Some(precision) => precision,
    };
    let sign = if value.is_sign_negative() { "-" } else { "" };
    if digits.is_empty() {
        return format!("{sign}0");
    }
    if point - 1 < -4 || point > limit {
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        let (exponent_sign, size) = if point < 1 {
            ('-', 1 - point)
        } else {
            ('+', point - 1)
        };
        return format!("{sign}{first}{dot}{rest}e{exponent_sign}{size:02}");
    }
    let Ok(before) = usize::try_from(point) else {
        let zeros = "0".repeat(usize::try_from(-point).unwrap_or(0));
        return format!("{sign}0.{zeros}{digits}");
    };
    if before == 0 {
        format!("{sign}0.{digits}")
    } else if before >= digits.len() {
        let zeros = "0".repeat(before - digits.len());
        format!("{sign}{digits}{zeros}")
    } else {
        format!("{sign}{}.{}", &digits[..before], &digits[before..])
    }
}

/// Go's `strconv.ParseFloat`, without hexadecimal mantissas.
pub(super) fn parse(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if ["inf", "infinity", "nan"]
        .iter()
        .any(|name| unsigned.eq_ignore_ascii_case(name))
    {
        let is_signed_nan = unsigned.len() != text.len() && unsigned.eq_ignore_ascii_case("nan");
        return if is_signed_nan {
            None
        } else {
            text.parse().ok()
        };
    }
    let is_part = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-');
    if !text.bytes().all(is_part) {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}
