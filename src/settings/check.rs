//! Checks of option values, shared by the areas.

use std::{borrow::Cow, fmt::Debug, time::Duration};

use super::ConfigError;

/// The minimum interval of anything periodic. Shorter intervals would cost more than they show.
pub(crate) const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// Returns an error that names `key`, `value` and the expected values, unless the value is valid.
pub(crate) fn check(
    is_valid: bool,
    key: &str,
    value: &dyn Debug,
    expected: impl Into<Cow<'static, str>>,
) -> Result<(), ConfigError> {
    if is_valid {
        return Ok(());
    }
    Err(ConfigError::Invalid {
        key: key.to_owned(),
        value: format!("{value:?}"),
        expected: expected.into(),
    })
}

/// Returns an error unless a value is at least `min`.
pub(crate) fn at_least<T: Copy + Debug + PartialOrd>(
    key: &str,
    value: &T,
    min: T,
) -> Result<(), ConfigError> {
    check(*value >= min, key, value, format!("at least {min:?}"))
}

/// Returns an error unless a value lies between `min` and `max`.
pub(crate) fn within<T: Copy + Debug + PartialOrd>(
    key: &str,
    value: &T,
    min: T,
    max: T,
) -> Result<(), ConfigError> {
    let expected = format!("from {min:?} to {max:?}");
    check((min..=max).contains(value), key, value, expected)
}

/// Returns an error unless a ratio is a share of a whole.
pub(crate) fn share(key: &str, ratio: f64) -> Result<(), ConfigError> {
    let is_share = (0.0..=1.0).contains(&ratio);
    check(is_share, key, &ratio, "a share from 0 to 1")
}

/// Returns an error if an option is switched on whose feature is not compiled in.
pub(crate) fn check_compiled_in(
    key: &str,
    is_requested: bool,
    is_compiled_in: bool,
    feature: &str,
) -> Result<(), ConfigError> {
    let is_valid = !is_requested || is_compiled_in;
    let expected = format!("false, or the feature `{feature}` added");
    check(is_valid, key, &is_requested, expected)
}

/// Returns an error if only one of two options is set that have an effect together. `area` is the beginning of their keys.
pub(crate) fn check_pair(
    area: &str,
    (first, is_first_set): (&str, bool),
    (second, is_second_set): (&str, bool),
) -> Result<(), ConfigError> {
    let (key, missing) = match (is_first_set, is_second_set) {
        (true, false) => (first, second),
        (false, true) => (second, first),
        (true, true) | (false, false) => return Ok(()),
    };
    Err(ConfigError::Missing {
        key: format!("{area}.{key}"),
        missing: format!("{area}.{missing}"),
    })
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
