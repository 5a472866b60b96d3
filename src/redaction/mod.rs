//! What of a text may leave the process, in a span, a log line or an alert.
//!
//! What is content (prompts, completions, tool arguments, headers) does not leave unless configuration says so. In every
//! other text keys, e-mail addresses and card numbers are masked. What cannot be judged is withheld, not sent.

mod masks;

use std::{
    borrow::Cow,
    panic::{AssertUnwindSafe, catch_unwind},
};

use self::masks::Masks;
use crate::{
    config::{ConfigError, RedactionConfig, SpanLimits},
    content::is_content,
    pattern::Pattern,
};

/// Stands where a value was withheld.
pub(crate) const WITHHELD: &str = "[withheld]";

/// What a pattern whose matches are masked must be.
pub(crate) const RIGHT_PATTERN: &str = "a regular expression";

/// What may leave the process.
#[derive(Debug)]
pub(crate) struct Redaction {
    allow: Vec<Pattern>,
    deny: Vec<Pattern>,
    masks: Masks,
    longest: Option<usize>,
}

impl Redaction {
    /// # Errors
    ///
    /// If a pattern is no regular expression.
    pub(crate) fn new(config: &RedactionConfig, limits: &SpanLimits) -> Result<Self, ConfigError> {
        let patterns = |texts: &[String]| texts.iter().map(|text| Pattern::new(text)).collect();
        let masks = Masks::new(config.masks, &config.patterns);
        Ok(Self {
            allow: patterns(&config.allow),
            deny: patterns(&config.deny),
            masks: masks.map_err(|pattern| ConfigError::Invalid {
                key: "traces.redaction.patterns".to_owned(),
                value: format!("{pattern:?}"),
                expected: RIGHT_PATTERN,
            })?,
            longest: limits.value_length,
        })
    }

    /// What may be shown of a text of this name. If it cannot be judged, it is withheld.
    pub(crate) fn shown<'t>(&self, key: &str, text: &'t str) -> Cow<'t, str> {
        let judge = || {
            if self.is_withheld(key) {
                return Cow::Borrowed(WITHHELD);
            }
            self.cleaned(text).map_or(Cow::Borrowed(text), Cow::Owned)
        };
        catch_unwind(AssertUnwindSafe(judge)).unwrap_or(Cow::Borrowed(WITHHELD))
    }

    /// Denied first, then allowed, then content.
    pub(crate) fn is_withheld(&self, key: &str) -> bool {
        let is_among = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(key));
        is_among(&self.deny) || (is_content(key) && !is_among(&self.allow))
    }

    /// `None` where nothing is to be changed.
    pub(crate) fn cleaned(&self, text: &str) -> Option<String> {
        let masked = self.masks.apply(text);
        let shown = masked.as_deref().unwrap_or(text);
        let cut = self.longest.and_then(|most| {
            let end = shown.char_indices().nth(most)?.0;
            Some(shown[..end].to_owned())
        });
        cut.or(masked)
    }
}

/// Whether matches of this can be masked.
pub(crate) fn is_pattern(text: &str) -> bool {
    regex::Regex::new(text).is_ok()
}

/// With these attributes denied, and all else as by default.
#[cfg(test)]
pub(crate) fn denying(patterns: &[&str]) -> std::sync::Arc<Redaction> {
    let config = RedactionConfig {
        deny: patterns.iter().map(|text| (*text).to_owned()).collect(),
        ..RedactionConfig::default()
    };
    std::sync::Arc::new(Redaction::new(&config, &SpanLimits::default()).unwrap())
}
