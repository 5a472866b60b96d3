//! Restores integers that tracing-opentelemetry has written as text, as it does with `u64`.
//!
//! Only attributes are restored whose name means a number in the semantic conventions or in the span kinds of this crate.
//! The text of another field may have been a text in the application.

use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

use crate::observation::TokenDetail;

const NUMBERS: &[&str] = &[
    "completion_tokens",
    "http.request.body.size",
    "http.request.resend_count",
    "http.response.body.size",
    "http.response.status_code",
    "input_tokens",
    "network.peer.port",
    "output_tokens",
    "prompt_tokens",
    "request_size",
    "response_size",
    "server.port",
    "status_code",
    "token_count",
    "tokens",
];

/// Prefixes of such names.
const PREFIXES: &[&str] = &["gen_ai.usage.", "llm.token_count."];

pub(super) fn restore(span: &mut SpanData) {
    restore_all(&mut span.attributes);
    for event in &mut span.events.events {
        restore_all(&mut event.attributes);
    }
}

fn restore_all(attributes: &mut [KeyValue]) {
    for KeyValue { key, value, .. } in attributes {
        if let Value::String(text) = value
            && is_number(key.as_str())
            && let Ok(number) = text.as_str().parse()
        {
            *value = Value::I64(number);
        }
    }
}

fn is_number(key: &str) -> bool {
    NUMBERS.contains(&key)
        || TokenDetail::of_field(key).is_some()
        || PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traces::tail::tests::{span, with};

    #[test]
    fn numbers_of_the_conventions_are_restored_and_other_text_stays() {
        let mut span = span(1, 1, 0);
        for (key, value) in [
            ("http.response.status_code", "503"),
            ("gen_ai.usage.output_tokens", "12"),
            ("order", "0042"),
            ("tokens", "many"),
        ] {
            span = with(span, key, value);
        }
        restore(&mut span);
        let values: Vec<&Value> = span.attributes.iter().map(|pair| &pair.value).collect();
        let expected = [503.into(), 12.into(), "0042".into(), "many".into()];
        assert_eq!(values, expected.iter().collect::<Vec<&Value>>());
    }
}
