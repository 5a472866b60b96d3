//! What of a span may leave the process: applied once, before every exporter.

use std::borrow::Cow;

use opentelemetry::{Array, KeyValue, StringValue, Value, trace::Status};
use opentelemetry_sdk::trace::SpanData;

use crate::redaction::{Redaction, WITHHELD};

/// Takes out of a span what may not leave, and masks what looks like a secret in the rest, names and messages included.
pub(super) fn apply(redaction: &Redaction, span: &mut SpanData) {
    clean_name(redaction, &mut span.name);
    clean_attributes(redaction, &mut span.attributes);
    for event in &mut span.events.events {
        clean_name(redaction, &mut event.name);
        clean_attributes(redaction, &mut event.attributes);
    }
    for link in &mut span.links.links {
        clean_attributes(redaction, &mut link.attributes);
    }
    if let Status::Error { description } = &mut span.status {
        clean_name(redaction, description);
    }
}

fn clean_attributes(redaction: &Redaction, attributes: &mut [KeyValue]) {
    for pair in attributes {
        if redaction.is_withheld(pair.key.as_str()) {
            pair.value = Value::String(WITHHELD.into());
        } else {
            clean_value(redaction, &mut pair.value);
        }
    }
}

fn clean_value(redaction: &Redaction, value: &mut Value) {
    match value {
        Value::String(text) => clean_text(redaction, text),
        Value::Array(Array::String(texts)) => {
            for text in texts {
                clean_text(redaction, text);
            }
        }
        // Numbers and truth values hold no text; a card number is one only where it is written out.
        _ => {}
    }
}

fn clean_text(redaction: &Redaction, text: &mut StringValue) {
    if let Some(clean) = redaction.cleaned(text.as_str()) {
        *text = clean.into();
    }
}

fn clean_name(redaction: &Redaction, name: &mut Cow<'static, str>) {
    if let Some(clean) = redaction.cleaned(name) {
        *name = clean.into();
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
    use crate::config::{RedactionConfig, SpanLimits};

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
        apply(&Redaction::new(config, &limits).unwrap(), &mut span);
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
        apply(&redaction.unwrap(), &mut span);
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
        apply(&redaction, &mut span);
        assert_eq!(span.attributes[0].value.to_string(), "äö");
        assert_eq!(span.attributes[1].value.to_string(), "äö");
    }
}
