//! Redacts spans once, before all exporters.

use std::{borrow::Cow, collections::HashMap, hash::BuildHasher as _, sync::Arc};

use foldhash::fast::RandomState;
use opentelemetry::{Array, KeyValue, StringValue, Value, trace::Status};
use opentelemetry_sdk::trace::SpanData;

use crate::privacy::{MASK, Redaction, WITHHELD};

/// Texts whose result is remembered, a power of two. Most texts of spans repeat: routes, models, places in the code.
const TEXTS: usize = 1024;
/// Longer texts repeat seldom.
const MAX_TEXT_BYTES: usize = 256;
/// Names of attributes whose result is remembered.
const MAX_NAMES: usize = 1024;

/// Redacts spans, and remembers the texts that stay unchanged.
pub(super) struct SpanRedaction {
    redaction: Arc<Redaction>,
    /// Texts that stay unchanged, by their hash.
    unchanged: Box<[String]>,
    /// The names of attributes, with `true` if their values are withheld.
    withheld: HashMap<Box<str>, bool, RandomState>,
    hasher: RandomState,
}

impl SpanRedaction {
    pub(super) fn new(redaction: Arc<Redaction>) -> Self {
        Self {
            redaction,
            unchanged: vec![String::new(); TEXTS].into(),
            withheld: HashMap::default(),
            hasher: RandomState::default(),
        }
    }

    /// Withholds the values of denied attributes, and masks secrets in all other texts of a span, its name and its
    /// messages included.
    pub(super) fn apply(&mut self, span: &mut SpanData) {
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

    fn clean_attributes(&mut self, attributes: &mut [KeyValue]) {
        for pair in attributes {
            let is_text = matches!(
                pair.value,
                Value::String(_) | Value::Array(Array::String(_))
            );
            let key = pair.key.as_str();
            if self.is_withheld(key) && (is_text || self.redaction.is_denied(key)) {
                pair.value = Value::String(WITHHELD.into());
            } else {
                self.clean_value(pair.key.as_str(), &mut pair.value);
            }
        }
    }

    fn clean_value(&mut self, key: &str, value: &mut Value) {
        let redaction = &self.redaction;
        match value {
            Value::String(text) => self.clean_text(key, text),
            Value::Array(Array::String(texts)) => {
                for text in texts {
                    self.clean_text(key, text);
                }
            }
            Value::I64(number) if redaction.masks_number(*number) => *value = MASK.into(),
            Value::F64(number) if redaction.masks_float(*number) => *value = MASK.into(),
            Value::Array(Array::I64(numbers))
                if numbers.iter().any(|number| redaction.masks_number(*number)) =>
            {
                *value = MASK.into();
            }
            Value::Array(Array::F64(numbers))
                if numbers.iter().any(|number| redaction.masks_float(*number)) =>
            {
                *value = MASK.into();
            }
            // Other numbers and booleans contain no secret.
            _ => {}
        }
    }

    fn clean_text(&mut self, key: &str, text: &mut StringValue) {
        // The value of a field called token is masked by other rules than the same text elsewhere.
        let ending = key.as_bytes().last_chunk();
        let is_token = ending.is_some_and(|ending: &[u8; 5]| ending.eq_ignore_ascii_case(b"token"));
        let clean = if is_token {
            self.redaction.cleaned_of(key, text.as_str())
        } else {
            self.cleaned(text.as_str(), |redaction, text| {
                redaction.cleaned_of(key, text)
            })
        };
        if let Some(clean) = clean {
            *text = clean.into();
        }
    }

    fn clean_name(&mut self, name: &mut Cow<'static, str>) {
        if let Some(clean) = self.cleaned(name, Redaction::cleaned) {
            *name = clean.into();
        }
    }

    fn cleaned(
        &mut self,
        text: &str,
        clean: impl FnOnce(&Redaction, &str) -> Option<String>,
    ) -> Option<String> {
        if text.len() > MAX_TEXT_BYTES {
            return clean(&self.redaction, text);
        }
        let place = self.hasher.hash_one(text) as usize % TEXTS;
        let known = self.unchanged.get_mut(place);
        if known.as_deref().is_some_and(|known| known == text) {
            return None;
        }
        let cleaned = clean(&self.redaction, text);
        if let Some(known) = known.filter(|_| cleaned.is_none()) {
            known.clear();
            known.push_str(text);
        }
        cleaned
    }

    fn is_withheld(&mut self, name: &str) -> bool {
        if let Some(is_withheld) = self.withheld.get(name) {
            return *is_withheld;
        }
        let is_withheld = self.redaction.is_withheld(name);
        if self.withheld.len() < MAX_NAMES && name.len() <= MAX_TEXT_BYTES {
            self.withheld.insert(name.into(), is_withheld);
        }
        is_withheld
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::{
        InstrumentationScope,
        trace::{Event, SpanContext, SpanId, SpanKind},
    };

    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};

    use super::*;
    use crate::privacy::RedactionConfig;

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

    /// Redacts a span, twice, since texts are remembered.
    fn apply(redaction: Redaction, span: &mut SpanData) {
        let mut redaction = SpanRedaction::new(Arc::new(redaction));
        redaction.apply(&mut span.clone());
        redaction.apply(span);
    }

    /// Checks a value after redaction with a configuration.
    fn check(config: &RedactionConfig, key: &'static str, value: &'static str, expected: &str) {
        let mut span = span(&[(key, value)]);
        apply(Redaction::new(config, None).unwrap(), &mut span);
        assert_eq!(span.attributes[0].value.to_string(), expected, "{key}");
    }

    #[test]
    fn content_is_withheld_unless_allowed_and_denied_attributes_are_always_withheld() {
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
    fn a_number_is_no_content_and_a_denied_number_is_withheld() {
        let config = RedactionConfig {
            deny: vec!["score".into()],
            ..RedactionConfig::default()
        };
        let mut span = span(&[("answer", "forty-two")]);
        for key in ["answer", "score"] {
            span.attributes.push(KeyValue::new(key, 42));
        }
        apply(Redaction::new(&config, None).unwrap(), &mut span);
        let values: Vec<_> = span.attributes.iter().map(|pair| &pair.value).collect();
        let withheld = Value::from(WITHHELD);
        assert_eq!(values, [&withheld, &Value::I64(42), &withheld]);
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
        let redaction = Redaction::new(&RedactionConfig::default(), None);
        apply(redaction.unwrap(), &mut span);
        assert!(!format!("{span:?}").contains("example.org"), "{span:?}");
    }

    #[test]
    fn a_card_is_masked_as_a_number_too_and_other_numbers_stay() {
        let cases: [(Value, Value); 6] = [
            (4_111_111_111_111_111_i64.into(), MASK.into()),
            (4_111_111_111_111_111_f64.into(), MASK.into()),
            (
                4_111_111_111_111_112_i64.into(),
                4_111_111_111_111_112_i64.into(),
            ),
            (
                1_732_480_000_000_000_003_i64.into(),
                1_732_480_000_000_000_003_i64.into(),
            ),
            ((-1_i64).into(), (-1_i64).into()),
            (
                Value::Array(vec![1_i64, 4_111_111_111_111_111].into()),
                MASK.into(),
            ),
        ];
        for (value, expected) in cases {
            let redaction = Redaction::new(&RedactionConfig::default(), None).unwrap();
            let mut span = span(&[]);
            span.attributes.push(KeyValue::new("number", value));
            apply(redaction, &mut span);
            assert_eq!(span.attributes[0].value, expected);
        }
    }

    #[test]
    fn a_token_is_masked_if_it_is_a_credential() {
        let default = RedactionConfig::default();
        check(&default, "session_token", "abcdef0123456789", MASK);
        check(&default, "Token", "abcdef0123456789", MASK);
        check(&default, "token", "hello", "hello");
        check(&default, "tokens", "abcdef0123456789", "abcdef0123456789");
    }

    #[test]
    fn a_text_that_is_remembered_as_clean_is_still_masked_as_a_token() {
        let redaction = Redaction::new(&RedactionConfig::default(), None).unwrap();
        let mut redaction = SpanRedaction::new(Arc::new(redaction));
        let mut span = span(&[
            ("note", "abcdef0123456789"),
            ("session_token", "abcdef0123456789"),
        ]);
        for _ in 0..2 {
            let mut span = span.clone();
            redaction.apply(&mut span);
            assert_eq!(span.attributes[0].value.to_string(), "abcdef0123456789");
            assert_eq!(span.attributes[1].value.to_string(), MASK);
        }
        // A text in the place of another text replaces it, and is not taken for it.
        for number in 0..3 * TEXTS {
            let secret = format!("{number}@example.org");
            span.attributes = vec![
                KeyValue::new("a", format!("text {number}")),
                KeyValue::new("b", secret),
            ];
            redaction.apply(&mut span);
            assert_eq!(
                span.attributes[0].value.to_string(),
                format!("text {number}")
            );
            assert_eq!(span.attributes[1].value.to_string(), MASK);
        }
    }

    #[test]
    fn patterns_of_names_have_stars_anywhere() {
        let config = RedactionConfig {
            deny: vec!["*.email".into(), "customer.*.name".into()],
            ..RedactionConfig::default()
        };
        check(&config, "user.email", "Ann", WITHHELD);
        check(&config, "customer.home.name", "Ann", WITHHELD);
        check(&config, "customer.name", "Ann", "Ann");
    }

    /// `cargo test --release --all-features --lib -- --ignored --nocapture cost_of_the_masks`
    #[test]
    #[ignore = "a measurement"]
    fn cost_of_the_masks_for_a_typical_span() {
        let typical = || {
            let mut span = span(&[
                ("model_id", "gpt-4o-2024-11-20"),
                ("route", "/v1/chat/completions"),
                ("status", "success"),
                ("request_id", "7c9e6679-7425-40de-944b-e07fc1f90ae7"),
                ("url.full", "https://api.example/v1/chat?stream=true"),
                ("note", "retried once: the upstream was slow, took 1732 ms"),
                ("prompt", "tell me"),
            ]);
            for (key, value) in [("tokens", 512), ("at", 1_732_480_000_000_000_003)] {
                span.attributes.push(KeyValue::new(key, value));
            }
            span
        };
        let took = |masks| {
            let config = RedactionConfig {
                masks,
                ..RedactionConfig::default()
            };
            let redaction = Redaction::new(&config, None).unwrap();
            let mut redaction = SpanRedaction::new(Arc::new(redaction));
            let mut rounds: Vec<_> = (0..200)
                .map(|_| {
                    let mut spans: Vec<_> = (0..100).map(|_| typical()).collect();
                    let start = std::time::Instant::now();
                    for span in &mut spans {
                        redaction.apply(span);
                    }
                    start.elapsed() / 100
                })
                .collect();
            rounds.sort();
            rounds[100]
        };
        let start = std::time::Instant::now();
        let made = Redaction::new(&RedactionConfig::default(), None);
        made.unwrap().prepare();
        let made = start.elapsed();
        eprintln!(
            "without {:?}, with {:?}; made in {made:?}",
            took(false),
            took(true)
        );
    }

    #[test]
    fn a_value_is_cut_at_characters() {
        let redaction = Redaction::new(&RedactionConfig::default(), Some(2)).unwrap();
        let mut span = span(&[("a", "äöü"), ("b", "äö")]);
        apply(redaction, &mut span);
        assert_eq!(span.attributes[0].value.to_string(), "äö");
        assert_eq!(span.attributes[1].value.to_string(), "äö");
    }
}
