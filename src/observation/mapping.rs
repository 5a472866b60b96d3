//! Maps the application's span and field names to the names of the tables.

use std::collections::BTreeMap;

/// The application's own span and field names, mapped to names that the Layer recognizes.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Mapping {
    /// Span names: `generate` → `inference`.
    pub spans: BTreeMap<String, String>,
    /// Field names: `llm` → `model_id`.
    pub fields: BTreeMap<String, String>,
}

impl Mapping {
    /// Maps the application's span name `yours` to the recognized name `known`.
    #[must_use]
    pub fn with_span(mut self, yours: impl Into<String>, known: impl Into<String>) -> Self {
        self.spans.insert(yours.into(), known.into());
        self
    }

    /// Maps the application's field name `yours` to the recognized name `known`.
    #[must_use]
    pub fn with_field(mut self, yours: impl Into<String>, known: impl Into<String>) -> Self {
        self.fields.insert(yours.into(), known.into());
        self
    }
}
