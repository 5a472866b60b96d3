//! What of a span may leave the process: applied once, before every exporter.
//!
//! Attributes that are content (prompts, completions, tool arguments, headers) do not leave unless configuration says
//! so. In every other text, names and messages included, keys, e-mail addresses and card numbers are masked. What
//! cannot be judged is withheld, not sent.

mod masks;

use std::{
    borrow::Cow,
    panic::{AssertUnwindSafe, catch_unwind},
};

use opentelemetry::{Array, KeyValue, StringValue, Value, trace::Status};
use opentelemetry_sdk::trace::SpanData;

use self::masks::Masks;
use super::pattern::Pattern;
use crate::{
    config::{RedactionConfig, SpanLimits},
    content::is_content,
};

/// Stands where a value was withheld.
pub(super) const WITHHELD: &str = "[withheld]";

/// What of a span may leave the process.
#[derive(Debug)]
pub(super) struct Redaction {
    allow: Vec<Pattern>,
    deny: Vec<Pattern>,
    masks: Masks,
    longest: Option<usize>,
}

impl Redaction {
    /// # Errors
    ///
    /// The pattern that is no regular expression.
    pub(super) fn new(config: &RedactionConfig, limits: &SpanLimits) -> Result<Self, String> {
        let patterns = |texts: &[String]| texts.iter().map(|text| Pattern::new(text)).collect();
        Ok(Self {
            allow: patterns(&config.allow),
            deny: patterns(&config.deny),
            masks: Masks::new(config.masks, &config.patterns)?,
            longest: limits.value_length,
        })
    }

    pub(super) fn apply(&self, span: &mut SpanData) {
        self.clean_name(&mut span.name);
        self.clean_attributes(&mut span.attributes);
        for event in &mut span.events.events {
            self.clean_name(&mut event.name);
            self.clean_attributes(&mut event.attributes);
        }
        for link in &mut span.links.links {
            self.clean_attributes(&mut link.attributes);
        }
        if let Status::Error { description } = &mut span.status {
            self.clean_name(description);
        }
    }

    fn clean_attributes(&self, attributes: &mut [KeyValue]) {
        for pair in attributes {
            if self.is_withheld(pair.key.as_str()) {
                pair.value = Value::String(WITHHELD.into());
            } else {
                self.clean_value(&mut pair.value);
            }
        }
    }

    /// What may be shown of a text of this name. If it cannot be judged, it is withheld.
    pub(super) fn shown<'t>(&self, key: &str, text: &'t str) -> Cow<'t, str> {
        let judge = || {
            if self.is_withheld(key) {
                return Cow::Borrowed(WITHHELD);
            }
            self.cleaned(text).map_or(Cow::Borrowed(text), Cow::Owned)
        };
        catch_unwind(AssertUnwindSafe(judge)).unwrap_or(Cow::Borrowed(WITHHELD))
    }

    /// Denied first, then allowed, then content.
    pub(super) fn is_withheld(&self, key: &str) -> bool {
        let is_among = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(key));
        is_among(&self.deny) || (is_content(key) && !is_among(&self.allow))
    }

    fn clean_value(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.clean_text(text),
            Value::Array(Array::String(texts)) => {
                for text in texts {
                    self.clean_text(text);
                }
            }
            // Numbers and truth values hold no text; a card number is one only where it is written out.
            _ => {}
        }
    }

    fn clean_text(&self, text: &mut StringValue) {
        if let Some(clean) = self.cleaned(text.as_str()) {
            *text = clean.into();
        }
    }

    fn clean_name(&self, name: &mut Cow<'static, str>) {
        if let Some(clean) = self.cleaned(name) {
            *name = clean.into();
        }
    }

    /// `None` where nothing is to be changed.
    fn cleaned(&self, text: &str) -> Option<String> {
        let masked = self.masks.apply(text);
        let shown = masked.as_deref().unwrap_or(text);
        let cut = self.longest.and_then(|most| {
            let end = shown.char_indices().nth(most)?.0;
            Some(shown[..end].to_owned())
        });
        cut.or(masked)
    }
}

/// With these attributes denied, and all else as by default.
#[cfg(test)]
pub(super) fn denying(patterns: &[&str]) -> std::sync::Arc<Redaction> {
    let config = RedactionConfig {
        deny: patterns.iter().map(|text| (*text).to_owned()).collect(),
        ..RedactionConfig::default()
    };
    std::sync::Arc::new(Redaction::new(&config, &SpanLimits::default()).unwrap())
}

#[cfg(test)]
mod tests {
    use opentelemetry::{
        InstrumentationScope,
        trace::{Event, SpanContext, SpanId, SpanKind},
    };

    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};

    use super::*;

    fn span(attributes: &[(&'static str, &'static str)]) -> SpanData {
        SpanData {
            span_context: SpanContext::empty_context(),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: "chat".into(),
            start_time: std::time::UNIX_EPOCH,
            end_time: std::time::UNIX_EPOCH,
            attributes: attributes
                .iter()
                .map(|(key, value)| KeyValue::new(*key, *value))
                .collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::default(),
        }
    }

    /// What is left of a value under a configuration.
    fn check(config: &RedactionConfig, key: &'static str, value: &'static str, expected: &str) {
        let mut span = span(&[(key, value)]);
        let limits = SpanLimits::default();
        Redaction::new(config, &limits).unwrap().apply(&mut span);
        assert_eq!(span.attributes[0].value.to_string(), expected, "{key}");
    }

    #[test]
    fn content_is_withheld_unless_it_is_allowed_and_what_is_denied_always() {
        let default = RedactionConfig::default();
        check(&default, "prompt", "tell me", WITHHELD);
        check(&default, "gen_ai.input.messages", "[…]", WITHHELD);
        check(&default, "http.request.header.cookie", "a=b", WITHHELD);
        check(&default, "model_id", "gpt-4o", "gpt-4o");
        let config = RedactionConfig {
            allow: vec!["prompt".into(), "gen_ai.*".into()],
            deny: vec!["gen_ai.output.*".into(), "customer".into()],
            ..RedactionConfig::default()
        };
        check(&config, "prompt", "tell me", "tell me");
        check(&config, "gen_ai.input.messages", "hi", "hi");
        check(&config, "gen_ai.output.messages", "hi", WITHHELD);
        check(&config, "customer", "Ann", WITHHELD);
    }

    #[test]
    fn no_text_of_a_span_is_left_out() {
        let secret = "ann@example.org";
        let mut span = span(&[("note", "ann@example.org")]);
        span.name = secret.into();
        span.status = Status::error(secret);
        span.events.events.push(Event::new(
            secret,
            std::time::UNIX_EPOCH,
            vec![KeyValue::new("k", secret)],
            0,
        ));
        span.attributes.push(KeyValue::new(
            "list",
            Value::Array(vec![StringValue::from(secret)].into()),
        ));
        let redaction = Redaction::new(&RedactionConfig::default(), &SpanLimits::default());
        redaction.unwrap().apply(&mut span);
        assert!(!format!("{span:?}").contains("example.org"), "{span:?}");
    }

    #[test]
    fn a_value_is_cut_at_characters() {
        let limits = SpanLimits {
            value_length: Some(2),
            ..SpanLimits::default()
        };
        let redaction = Redaction::new(&RedactionConfig::default(), &limits).unwrap();
        let mut span = span(&[("a", "äöü"), ("b", "äö")]);
        redaction.apply(&mut span);
        assert_eq!(span.attributes[0].value.to_string(), "äö");
        assert_eq!(span.attributes[1].value.to_string(), "äö");
    }
}
