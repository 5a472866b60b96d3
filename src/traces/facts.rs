//! Adds the facts about an inference that its span does not record to the exported span: a cancellation, tokens counted by
//! events, and the time to the first token.

use std::time::Duration;

use opentelemetry::{KeyValue, Value};

/// The facts about an inference that ends.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct InferenceFacts {
    pub(crate) is_cancelled: bool,
    /// Tokens counted by events; `None` if the span has a count of its own.
    pub(crate) counted_tokens: Option<u64>,
    pub(crate) first_token: Option<Duration>,
}

impl InferenceFacts {
    /// Adds attributes that the span does not have; `GenAI` conventions, v1.41.1.
    pub(super) fn add_to(self, attributes: &mut Vec<KeyValue>) {
        if self.is_cancelled {
            add(attributes, &["error.type", "error_type"], || {
                "cancelled".into()
            });
        }
        if let Some(count) = self.counted_tokens {
            add(attributes, &["gen_ai.usage.output_tokens"], || {
                Value::I64(i64::try_from(count).unwrap_or(i64::MAX))
            });
        }
        if let Some(first_token) = self.first_token {
            add(attributes, &["gen_ai.response.time_to_first_chunk"], || {
                Value::F64(first_token.as_secs_f64())
            });
        }
    }
}

/// Adds an attribute of the first of these names, unless the span has an attribute of one of the names.
fn add(attributes: &mut Vec<KeyValue>, names: &[&'static str], value: impl FnOnce() -> Value) {
    let is_known = attributes
        .iter()
        .any(|pair| names.contains(&pair.key.as_str()));
    if !is_known && let Some(name) = names.first() {
        attributes.push(KeyValue::new(*name, value()));
    }
}
