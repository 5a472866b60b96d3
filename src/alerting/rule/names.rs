//! Checks names against the syntax that both Prometheus 2 and Prometheus 3 accept.

/// Returns whether a name matches `[a-zA-Z_][a-zA-Z0-9_]*`. Prometheus 3 accepts any UTF-8; Prometheus 2 and many
/// receivers do not.
pub(crate) fn is_label_name(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(is_part)
}

/// Returns whether a name matches `[a-zA-Z_:][a-zA-Z0-9_:]*`.
pub(crate) fn is_metric_name(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(is_part)
}
