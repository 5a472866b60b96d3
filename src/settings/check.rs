//! Checks of option values, shared by the areas.

use std::{fmt::Debug, time::Duration};

use super::ConfigError;

/// The minimum interval of anything periodic. Shorter intervals would cost more than they show.
pub(crate) const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// Returns an error that names `key`, `value` and the expected values, unless the value is valid.
pub(crate) fn check(
    is_valid: bool,
    key: &str,
    value: &dyn Debug,
    expected: &'static str,
) -> Result<(), ConfigError> {
    if is_valid {
        return Ok(());
    }
    Err(ConfigError::Invalid {
        key: key.to_owned(),
        value: format!("{value:?}"),
        expected,
    })
}

/// Returns an error if an option is switched on whose feature is not compiled in.
pub(crate) fn check_compiled_in(
    is_requested: bool,
    is_compiled_in: bool,
    key: &str,
    expected: &'static str,
) -> Result<(), ConfigError> {
    check(
        !is_requested || is_compiled_in,
        key,
        &is_requested,
        expected,
    )
}

/// Returns `true` if a text can begin a metric's name: letters, digits and underscores, not beginning with a digit.
pub(crate) fn is_metric_name_part(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !text
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_digit())
}
