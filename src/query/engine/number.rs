//! Writes numbers as Prometheus's API does: the shortest text that reads back the same, `+Inf`, `NaN`.

/// Formats a value as Go's `strconv.FormatFloat(value, 'f', -1, 64)` does.
#[must_use]
pub fn format_number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        // Rust's `Display` never uses an exponent and is the shortest that reads back the same.
        value.to_string()
    }
}
