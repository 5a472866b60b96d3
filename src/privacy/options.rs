//! Options of redaction.

use crate::settings::ConfigError;

/// The expected value of a pattern whose matches are masked.
const PATTERN_EXPECTED: &str = "a regular expression";

/// Which text may leave the process in spans, log lines and alerts. It applies whether traces are enabled or not.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RedactionConfig {
    /// Names of attributes that are content and may leave the process all the same. Content are whole names such as
    /// `prompt`, `completion`, `messages`, `input`, `output`, `request`, `response`, `body`, `arguments`, `headers`,
    /// `authorization`, `password`, `api_key`, and the attributes for content of the conventions of `GenAI`,
    /// `OpenInference` and `OpenLLMetry`. In a name, `*` stands for any text: `user.*`, `*.email`, `user.*.name`.
    /// Default: none.
    pub allow: Vec<String>,
    /// Names of attributes that never leave the process, whatever else is configured. `*` as in `allow`. Default: none.
    pub deny: Vec<String>,
    /// True if credentials, e-mail addresses and card numbers are masked in every text, and card numbers among numbers.
    /// Default: true.
    pub masks: bool,
    /// Regular expressions whose matches are masked, too. Default: none.
    pub patterns: Vec<String>,
}

impl Default for RedactionConfig {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            deny: Vec::new(),
            masks: true,
            patterns: Vec::new(),
        }
    }
}

impl RedactionConfig {
    /// Checks that every pattern is a regular expression.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let is_invalid = |pattern: &&String| regex::Regex::new(pattern).is_err();
        let invalid = self.patterns.iter().find(is_invalid);
        invalid.map_or(Ok(()), |pattern| Err(invalid_pattern(pattern)))
    }
}

/// The error for a pattern that is not a regular expression.
pub(super) fn invalid_pattern(pattern: &str) -> ConfigError {
    ConfigError::Invalid {
        key: "traces.redaction.patterns".to_owned(),
        value: format!("{pattern:?}"),
        expected: PATTERN_EXPECTED.into(),
    }
}
