//! Writes numbers in the formats of Prometheus and `OpenMetrics`.

/// Writes a sample's value: `42`, `0.25`, `NaN`, `+Inf`.
pub(crate) fn write_f64(out: &mut String, value: f64) {
    /// Max integer that an `f64` represents exactly; written without a fraction or an exponent.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT {
        out.push_str(itoa::Buffer::new().format(value as i64));
    } else if value.is_finite() {
        out.push_str(ryu::Buffer::new().format_finite(value));
    } else {
        out.push_str(not_finite(value));
    }
}

/// Writes an integer.
pub(crate) fn write_u64(out: &mut String, value: u64) {
    out.push_str(itoa::Buffer::new().format(value));
}

/// Returns a bound in the format that `OpenMetrics` requires for `le` and `quantile`: Go's `%g` with at least one digit
/// after the decimal point: `1.0`, `0.005`, `1e+06`, `+Inf`. Prometheus 2 stores any format, Prometheus 3 normalizes to
/// this format.
pub(crate) fn open_metrics(value: f64) -> String {
    if !value.is_finite() {
        return not_finite(value).to_owned();
    }
    // Rust and Go both print the shortest digits that parse to the same value; only the layout differs.
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    // `strconv.FormatFloat(value, 'g', -1, 64)` uses an exponent below −4 and from 6 on.
    if (-4..6).contains(&exponent) {
        let plain = format!("{value}");
        return if plain.contains('.') {
            plain
        } else {
            format!("{plain}.0")
        };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

fn not_finite(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "+Inf"
    } else {
        "-Inf"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The list of `OpenMetrics` 1.0, "Numbers".
    #[test]
    fn bounds_are_written_as_open_metrics_lists_them() {
        let listed = [
            (0.0, "0.0"),
            (0.001, "0.001"),
            (0.002, "0.002"),
            (0.01, "0.01"),
            (0.1, "0.1"),
            (0.9, "0.9"),
            (0.95, "0.95"),
            (1.0, "1.0"),
            (10.0, "10.0"),
            (100.0, "100.0"),
            (100_000.0, "100000.0"),
            (1e6, "1e+06"),
            (1e10, "1e+10"),
            (1e-5, "1e-05"),
            (1e-10, "1e-10"),
            (1_048_576.0, "1.048576e+06"),
            (0.0025, "0.0025"),
            (f64::INFINITY, "+Inf"),
            (81.92, "81.92"),
            (-1.5, "-1.5"),
        ];
        for (value, text) in listed {
            assert_eq!(open_metrics(value), text);
        }
    }

    #[test]
    fn values_read_back_the_same() {
        for value in [
            0.0,
            -0.0,
            1.0,
            0.1,
            1e300,
            -1e-300,
            9e15,
            9.1e15,
            f64::MAX,
            f64::MIN_POSITIVE,
            1.0 / 3.0,
        ] {
            let mut text = String::new();
            write_f64(&mut text, value);
            assert_eq!(text.parse::<f64>().unwrap(), value, "{text}");
        }
        let mut text = String::new();
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            write_f64(&mut text, value);
            text.push(' ');
        }
        assert_eq!(text, "NaN +Inf -Inf ");
    }
}
