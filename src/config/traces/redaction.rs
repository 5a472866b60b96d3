//! What may leave the process.

/// What may leave the process, of spans before every exporter, of log lines and of alerts; of those with traces or
/// without.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedactionConfig {
    /// Patterns of attributes that are content and may leave all the same. Content are whole names such as `prompt`,
    /// `completion`, `messages`, `input`, `output`, `request`, `response`, `body`, `arguments`, `headers`, `authorization`,
    /// `password`, `api_key`, and what the conventions of `GenAI`, `OpenInference` and `OpenLLMetry` call so.
    /// In a pattern `*` stands for any text, wherever it stands: `user.*`, `*.email`, `user.*.name`. Default: none.
    pub allow: Vec<String>,
    /// Patterns of attributes that must not leave, whatever else is said. Default: none.
    pub deny: Vec<String>,
    /// Whether keys, e-mail addresses and card numbers are masked in every text, and card numbers among the numbers, too.
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
