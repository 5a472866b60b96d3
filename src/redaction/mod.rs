//! What of a text may leave the process, in a span, a log line or an alert.
//!
//! What is content (prompts, completions, tool arguments, headers) does not leave unless configuration says so. In every
//! other text keys, e-mail addresses and card numbers are masked. What cannot be judged is withheld, not sent.

mod cards;
mod credential;
mod masks;

use std::{
    borrow::Cow,
    panic::{AssertUnwindSafe, catch_unwind},
};

pub(crate) use self::masks::MASK;
use self::{cards::is_card, credential::is_credential, masks::Masks};
use crate::{
    config::{ConfigError, RedactionConfig, SpanLimits},
    content::is_content,
    pattern::Pattern,
};

/// Stands where a value was withheld.
pub(crate) const WITHHELD: &str = "[withheld]";

/// The end of names that credentials have, and counts, too.
const TOKEN: &str = "token";

/// What a pattern whose matches are masked must be.
pub(crate) const RIGHT_PATTERN: &str = "a regular expression";

/// What may leave the process.
#[derive(Debug)]
pub(crate) struct Redaction {
    allow: Vec<Pattern>,
    deny: Vec<Pattern>,
    masks: Masks,
    longest: Option<usize>,
    /// Of this observatory alone: what it makes of a text says nothing to whoever guesses at the text.
    #[cfg(feature = "alerting")]
    apart: std::hash::RandomState,
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
            #[cfg(feature = "alerting")]
            apart: std::hash::RandomState::new(),
        })
    }

    /// Makes what it needs at its first text, which takes some milliseconds, at a time when nobody waits.
    pub(crate) fn prepare(&self) {
        self.masks.prepare();
    }

    /// What may be shown of a text of this name. If it cannot be judged, it is withheld.
    pub(crate) fn shown<'t>(&self, key: &str, text: &'t str) -> Cow<'t, str> {
        self.judged(key, text, || self.cleaned_of(key, text))
    }

    fn judged<'t>(
        &self,
        key: &str,
        text: &'t str,
        clean: impl FnOnce() -> Option<String>,
    ) -> Cow<'t, str> {
        let judge = || {
            if self.is_withheld(key) {
                return Cow::Borrowed(WITHHELD);
            }
            clean().map_or(Cow::Borrowed(text), Cow::Owned)
        };
        catch_unwind(AssertUnwindSafe(judge)).unwrap_or(Cow::Borrowed(WITHHELD))
    }

    /// Denied first, then allowed, then content.
    pub(crate) fn is_withheld(&self, key: &str) -> bool {
        let is_among = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(key));
        is_among(&self.deny) || (is_content(key) && !is_among(&self.allow))
    }

    /// As [`Redaction::shown`], however long it is: what an alert is called, or says, is cut elsewhere, if at all.
    #[cfg(feature = "alerting")]
    pub(crate) fn shown_whole<'t>(&self, key: &str, text: &'t str) -> Cow<'t, str> {
        self.judged(key, text, || self.masked_of(key, text))
    }

    /// As [`Redaction::shown_whole`], of a text by which things are told apart: two that differ still do, by a number
    /// behind what is shown.
    #[cfg(feature = "alerting")]
    pub(crate) fn told_apart<'t>(&self, key: &str, text: &'t str) -> Cow<'t, str> {
        use std::hash::BuildHasher as _;
        let shown = self.shown_whole(key, text);
        if shown == text {
            return shown;
        }
        let apart = self.apart.hash_one(text) & 0xffff_ffff;
        Cow::Owned(format!("{shown}#{apart:08x}"))
    }

    /// As [`Redaction::cleaned`], of a text of this name.
    pub(crate) fn cleaned_of(&self, key: &str, text: &str) -> Option<String> {
        self.cut(text, self.masked_of(key, text))
    }

    /// What is called a token may be one as a whole.
    fn masked_of(&self, key: &str, text: &str) -> Option<String> {
        let ending = key.len().checked_sub(TOKEN.len());
        let is_token = ending
            .and_then(|start| key.get(start..))
            .is_some_and(|ending| ending.eq_ignore_ascii_case(TOKEN));
        if is_token && self.masks.has_usual() && is_credential(text) {
            return Some(MASK.to_owned());
        }
        self.masks.apply(text)
    }

    /// Whether a number is masked: a card's.
    pub(crate) fn masks_number(&self, number: impl TryInto<u64>) -> bool {
        self.masks.has_usual() && number.try_into().is_ok_and(is_card)
    }

    /// As [`Redaction::masks_number`].
    pub(crate) fn masks_float(&self, number: f64) -> bool {
        // Above that not every whole number is one, and no card has so many digits.
        const MOST: f64 = 1e19;
        number.fract() == 0.0 && (0.0..MOST).contains(&number) && self.masks_number(number as u64)
    }

    /// `None` where nothing is to be changed.
    #[cfg(feature = "otlp")]
    pub(crate) fn cleaned(&self, text: &str) -> Option<String> {
        self.cut(text, self.masks.apply(text))
    }

    fn cut(&self, text: &str, masked: Option<String>) -> Option<String> {
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
#[cfg(feature = "otlp")]
pub(crate) fn denying(patterns: &[&str]) -> std::sync::Arc<Redaction> {
    let config = RedactionConfig {
        deny: patterns.iter().map(|text| (*text).to_owned()).collect(),
        ..RedactionConfig::default()
    };
    std::sync::Arc::new(Redaction::new(&config, &SpanLimits::default()).unwrap())
}
