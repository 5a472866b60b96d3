//! Redacts text before it leaves the process in a span, a log line or an alert.
//!
//! Content (prompts, completions, tool arguments, headers) is withheld unless the configuration allows it. In all other
//! text, credentials, e-mail addresses and card numbers are masked. Text whose redaction panics is withheld.

use std::{
    borrow::Cow,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{
    RedactionConfig,
    cards::is_card,
    content_names::is_content,
    credential::is_credential,
    glob::Glob,
    masks::{MASK, Masks},
    options::invalid_pattern,
};
use crate::settings::ConfigError;

/// Replaces a withheld value.
pub(crate) const WITHHELD: &str = "[withheld]";

/// The ending of names of credentials. Counts of tokens share it.
const TOKEN: &str = "token";

/// Redacts text by the rules of a configuration.
#[derive(Debug)]
pub(crate) struct Redaction {
    allow: Vec<Glob>,
    deny: Vec<Glob>,
    masks: Masks,
    /// The length at which text is cut, in characters.
    max_chars: Option<usize>,
    /// Random keys, so that the hash of a masked text does not let a reader verify guesses of the text.
    #[cfg(feature = "alerting")]
    hash_keys: std::hash::RandomState,
}

impl Redaction {
    /// Compiles the patterns of a configuration; text is cut to `max_chars` characters.
    ///
    /// # Errors
    ///
    /// Returns an error if a pattern is not a regular expression.
    pub(crate) fn new(
        config: &RedactionConfig,
        max_chars: Option<usize>,
    ) -> Result<Self, ConfigError> {
        let masks = Masks::new(config.masks, &config.patterns);
        Ok(Self {
            masks: masks.map_err(|pattern| invalid_pattern(&pattern))?,
            max_chars,
            ..Self::without_patterns(config)
        })
    }

    /// Returns the redaction of a configuration without its patterns.
    pub(crate) fn without_patterns(config: &RedactionConfig) -> Self {
        let patterns = |texts: &[String]| texts.iter().map(|text| Glob::new(text)).collect();
        Self {
            allow: patterns(&config.allow),
            deny: patterns(&config.deny),
            masks: Masks::without_patterns(config.masks),
            max_chars: None,
            #[cfg(feature = "alerting")]
            hash_keys: std::hash::RandomState::new(),
        }
    }

    /// Builds the automata of the masks, which takes some milliseconds, before the first text arrives.
    pub(crate) fn prepare(&self) {
        self.masks.prepare();
    }

    /// Redacts the value of the field or attribute `key`, and cuts it to the configured length.
    pub(crate) fn shown<'t>(&self, key: &str, text: &'t str) -> Cow<'t, str> {
        self.withhold_or(key, text, || self.cleaned_of(key, text))
    }

    fn withhold_or<'t>(
        &self,
        key: &str,
        text: &'t str,
        clean: impl FnOnce() -> Option<String>,
    ) -> Cow<'t, str> {
        let redact = || {
            if self.is_withheld(key) {
                return Cow::Borrowed(WITHHELD);
            }
            clean().map_or(Cow::Borrowed(text), Cow::Owned)
        };
        catch_unwind(AssertUnwindSafe(redact)).unwrap_or(Cow::Borrowed(WITHHELD))
    }

    /// Returns `true` if a text is withheld by its name: `deny` first, then `allow`, then the names of content.
    pub(crate) fn is_withheld(&self, key: &str) -> bool {
        let is_allowed = || self.allow.iter().any(|pattern| pattern.matches(key));
        self.is_denied(key) || (is_content(key) && !is_allowed())
    }

    /// Returns `true` if every value of this name is withheld. A number or a boolean is no content, so only `deny`
    /// withholds it.
    pub(crate) fn is_denied(&self, key: &str) -> bool {
        self.deny.iter().any(|pattern| pattern.matches(key))
    }

    /// Redacts like [`Redaction::shown`] without cutting, since alerts cut their text themselves.
    #[cfg(feature = "alerting")]
    pub(crate) fn shown_uncut<'t>(&self, key: &str, text: &'t str) -> Cow<'t, str> {
        self.withhold_or(key, text, || self.masked_of(key, text))
    }

    /// Redacts like [`Redaction::shown_uncut`], and keeps texts distinct that differ: the hash of a masked text is appended
    /// to it. Labels of alerts need this, since alerts are identified by their labels.
    #[cfg(feature = "alerting")]
    pub(crate) fn shown_distinct<'t>(&self, key: &str, text: &'t str) -> Cow<'t, str> {
        use std::hash::BuildHasher as _;
        let shown = self.shown_uncut(key, text);
        if shown == text {
            return shown;
        }
        let hash = self.hash_keys.hash_one(text) & 0xffff_ffff;
        Cow::Owned(format!("{shown}#{hash:08x}"))
    }

    /// Masks and cuts the value of the field or attribute `key`; returns `None` if the value stays unchanged.
    pub(crate) fn cleaned_of(&self, key: &str, text: &str) -> Option<String> {
        self.cut(text, self.masked_of(key, text))
    }

    /// Masks the keys and tokens in the value of a label; returns `None` if the value stays unchanged. E-mail addresses
    /// and long numbers stay, because they identify series.
    pub(crate) fn label(&self, name: &str, value: &str) -> Option<String> {
        let clean = || {
            if self.is_secret(name, value) {
                return Some(MASK.to_owned());
            }
            self.masks.apply_to_label(value)
        };
        catch_unwind(AssertUnwindSafe(clean)).unwrap_or_else(|_| Some(WITHHELD.to_owned()))
    }

    /// Masks a value.
    fn masked_of(&self, key: &str, text: &str) -> Option<String> {
        if self.is_secret(key, text) {
            return Some(MASK.to_owned());
        }
        self.masks.apply(text)
    }

    /// Returns `true` if the whole value of a field is a secret by the field's name. A field named `…token` is a secret if its
    /// value looks like a credential.
    fn is_secret(&self, key: &str, text: &str) -> bool {
        let ending = key.len().checked_sub(TOKEN.len());
        let is_token = ending
            .and_then(|start| key.get(start..))
            .is_some_and(|ending| ending.eq_ignore_ascii_case(TOKEN));
        (is_token && self.masks.are_defaults_enabled() && is_credential(text))
            || self.masks.is_secret_by_name(key, text)
    }

    /// Returns `true` if an integer is masked because it is a card number.
    pub(crate) fn masks_number(&self, number: impl TryInto<u64>) -> bool {
        self.masks.are_defaults_enabled() && number.try_into().is_ok_and(is_card)
    }

    /// Returns `true` if a floating-point number is masked because it is a card number.
    pub(crate) fn masks_float(&self, number: f64) -> bool {
        // Card numbers have at most 19 digits.
        const MAX_CARD: f64 = 1e19;
        number.fract() == 0.0
            && (0.0..MAX_CARD).contains(&number)
            && self.masks_number(number as u64)
    }

    /// Masks and cuts a text; returns `None` if the text stays unchanged.
    #[cfg(feature = "otlp")]
    pub(crate) fn cleaned(&self, text: &str) -> Option<String> {
        self.cut(text, self.masks.apply(text))
    }

    fn cut(&self, text: &str, masked: Option<String>) -> Option<String> {
        let shown = masked.as_deref().unwrap_or(text);
        let cut = self.max_chars.and_then(|max| {
            let end = shown.char_indices().nth(max)?.0;
            Some(shown[..end].to_owned())
        });
        cut.or(masked)
    }
}

/// Returns the default redaction with these patterns denied.
#[cfg(test)]
#[cfg(feature = "otlp")]
pub(crate) fn denying(patterns: &[&str]) -> std::sync::Arc<Redaction> {
    let config = RedactionConfig {
        deny: patterns.iter().map(|text| (*text).to_owned()).collect(),
        ..RedactionConfig::default()
    };
    std::sync::Arc::new(Redaction::new(&config, None).unwrap())
}
