//! Tables of environment variables: the name of each variable and the option that its value sets.

/// A description of the values that would be valid, for the end of the sentence "KEY is VALUE, but must be …".
pub(crate) type Invalid = &'static str;

/// An environment variable that sets something in the options `T` of an area.
pub(crate) struct Variable<T> {
    pub(crate) name: &'static str,
    /// Parses the value and applies it; changes nothing if the value is invalid.
    pub(crate) apply: fn(&mut T, &str) -> Result<(), Invalid>,
    /// True if the value is a secret, which may also stand in the file that `NAME_FILE` names.
    pub(crate) is_secret: bool,
}

impl<T> Variable<T> {
    pub(crate) const fn new(
        name: &'static str,
        apply: fn(&mut T, &str) -> Result<(), Invalid>,
    ) -> Self {
        Self {
            name,
            apply,
            is_secret: false,
        }
    }

    /// A variable whose value may also stand in the file that `NAME_FILE` names.
    #[cfg(feature = "alerting")]
    pub(crate) const fn secret(
        name: &'static str,
        apply: fn(&mut T, &str) -> Result<(), Invalid>,
    ) -> Self {
        Self {
            name,
            apply,
            is_secret: true,
        }
    }
}

/// Assigns a parsed value to an option; leaves the option as it was if the value is invalid.
pub(crate) fn set<T>(option: &mut T, value: Result<T, Invalid>) -> Result<(), Invalid> {
    *option = value?;
    Ok(())
}
