//! Wraps values that must not be shown.

use std::{cell::Cell, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A secret. `Debug`, `Display` and `Serialize` print `***`; only [`Secret::expose`] returns the value.
///
/// ```
/// use llm_observatory::Secret;
///
/// let key = Secret::new("hunter2");
/// assert_eq!(format!("{key} {key:?}"), "*** ***");
/// assert_eq!(key.expose(), "hunter2");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a value that must not be shown.
    pub fn new(value: impl Into<Arc<str>>) -> Self {
        Self(value.into())
    }

    /// Returns the value, for the code that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Default for Secret {
    fn default() -> Self {
        Self::new("")
    }
}

impl<T: Into<Arc<str>>> From<T> for Secret {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("***")
    }
}

/// The name of the newtype struct as which a secret is serialised within [`with_exposed_secrets`].
pub(crate) const SECRET_STRUCT: &str = "$observatory::Secret";

thread_local! {
    static ARE_EXPOSED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a function in which this thread serialises secrets with their values, so that the layers of the configuration can
/// be merged in one tree.
pub(crate) fn with_exposed_secrets<T>(run: impl FnOnce() -> T) -> T {
    /// Hides the secrets again, also after a panic.
    struct Hide(bool);
    impl Drop for Hide {
        fn drop(&mut self) {
            ARE_EXPOSED.set(self.0);
        }
    }
    let _hide = Hide(ARE_EXPOSED.replace(true));
    run()
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if ARE_EXPOSED.get() {
            return serializer.serialize_newtype_struct(SECRET_STRUCT, self.expose());
        }
        serializer.serialize_str("***")
    }
}

#[cfg(feature = "json-schema")]
impl schemars::JsonSchema for Secret {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "writeOnly": true })
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_serialises_as_stars() {
        assert_eq!(
            serde_json::to_string(&Secret::from("hunter2")).unwrap(),
            "\"***\""
        );
    }

    #[test]
    fn secrets_are_exposed_only_within_the_function() {
        let text = || serde_json::to_string(&Secret::from("hunter2")).unwrap();
        assert_eq!(with_exposed_secrets(text), "\"hunter2\"");
        let panicked = std::panic::catch_unwind(|| with_exposed_secrets(|| panic!("within")));
        assert!(panicked.is_err());
        assert_eq!(text(), "\"***\"");
    }
}
