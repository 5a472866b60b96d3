//! Tables of environment variables: the name of each variable and the option that its value sets.

/// A description of the values that would be valid, for the end of the sentence "KEY is VALUE, but must be …".
pub(crate) type Invalid = &'static str;

/// Parses a value and applies it to the options `T` of an area; changes nothing if the value is invalid.
pub(crate) type Apply<T> = fn(&mut T, &str) -> Result<(), Invalid>;

/// An environment variable that sets something in the options `T` of an area.
pub(crate) struct Variable<T> {
    pub(crate) name: &'static str,
    pub(crate) apply: Apply<T>,
    /// True if the value is a secret, which may also stand in the file that `NAME_FILE` names.
    pub(crate) is_secret: bool,
}

impl<T> Variable<T> {
    pub(crate) const fn new(name: &'static str, apply: Apply<T>) -> Self {
        Self {
            name,
            apply,
            is_secret: false,
        }
    }

    /// A variable whose value may also stand in the file that `NAME_FILE` names.
    #[cfg(feature = "alerting")]
    pub(crate) const fn secret(name: &'static str, apply: Apply<T>) -> Self {
        Self {
            is_secret: true,
            ..Self::new(name, apply)
        }
    }
}

/// Assigns a parsed value to an option; leaves the option as it was if the value is invalid.
pub(crate) fn set<T>(option: &mut T, value: Result<T, Invalid>) -> Result<(), Invalid> {
    *option = value?;
    Ok(())
}

/// Defines a variable that sets one option: `variable!("NAME" => path.of.the.option, parser)`.
macro_rules! variable {
    ($name:literal => $($option:ident).+, $parser:expr) => {
        $crate::settings::Variable::new($name, |options, value| {
            $crate::settings::set(&mut options.$($option).+, $parser(value))
        })
    };
}
pub(crate) use variable;
