//! Exports spans to standard error.

#[cfg(feature = "otlp")]
mod text;

#[cfg(feature = "zipkin")]
pub(super) use self::text::attributes;
use super::Spec;

/// The format of spans on standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ConsoleFormat {
    /// A line for people, with attributes and events in the lines below.
    #[default]
    Pretty,
    /// A JSON object on a line.
    Json,
}

pub(super) const SPEC: Spec = Spec {
    aliases: &["logging"],
    variables: &[],
    validate: |_| Ok(()),
    #[cfg(feature = "otlp")]
    build: Some(text::build),
};
