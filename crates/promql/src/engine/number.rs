//! Formats numbers as Prometheus's API does: as the shortest decimal that parses to the same value, `+Inf` or `NaN`.

/// Formats a value as Go's `strconv.FormatFloat(value, 'f', -1, 64)` does.
#[must_use]
pub fn format_number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        // Rust's `Display` gives the shortest text that parses to the same value, without an exponent.
        value.to_string()
    }
}

/// Formats a value as Prometheus's API does: as [`format_number`], with an exponent for values below 1e-6 and from 1e21 on.
#[must_use]
#[cfg(feature = "json")]
pub(super) fn format_api_number(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || !size.is_finite() || (1e-6..1e21).contains(&size) {
        return format_number(value);
    }
    with_exponent(value)
}

/// Formats a value as Go's `%g` does, the format of numbers in Prometheus's queries and messages: with an exponent below
/// 1e-4 and from 1e6 on.
#[must_use]
pub(super) fn format_literal(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || !size.is_finite() || (1e-4..1e6).contains(&size) {
        return format_number(value);
    }
    with_exponent(value)
}

/// Go writes the sign of the exponent and at least two digits.
fn with_exponent(value: f64) -> String {
    let text = format!("{value:e}");
    let Some((mantissa, exponent)) = text.split_once('e') else {
        return text;
    };
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (value, plain, api) in [
            (1e21, "1000000000000000000000", "1e+21"),
            (1.5e-7, "0.00000015", "1.5e-07"),
            (-2.5e-300, "", "-2.5e-300"),
            (1e20, "100000000000000000000", "100000000000000000000"),
            (-0.0, "-0", "-0"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
        ] {
            if !plain.is_empty() {
                assert_eq!(format_number(value), plain);
            }
            #[cfg(feature = "json")]
            assert_eq!(format_api_number(value), api);
            #[cfg(not(feature = "json"))]
            let _ = api;
        }
        assert_eq!(format_literal(951_782_400.0), "9.517824e+08");
        assert_eq!(format_literal(100_000.0), "100000");
    }
}
