//! Adds the attributes of OpenTelemetry's `GenAI` conventions to inference spans.
//!
//! A span `inference { model_id = "gpt-4o", tokens = 7 }` is exported as `chat gpt-4o`, kind client, with
//! `gen_ai.request.model` and `gen_ai.usage.output_tokens` beside its own fields. The exporting thread does this, so an
//! unsampled span does not pay for it. Names and attributes that the application has set in the terms of the conventions,
//! `otel.name` included, do not change.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use opentelemetry::{
    KeyValue, Value,
    trace::{SpanKind, Status},
};
use opentelemetry_sdk::trace::SpanData;

use crate::{
    metrics::Side,
    observation::{Kind, Mapping, TokenDetail},
    privacy::Redaction,
};

const OPERATION: &str = "gen_ai.operation.name";
const PROVIDER: &str = "gen_ai.provider.name";
const MODEL: &str = "gen_ai.request.model";

/// Field names of this crate and of other libraries, with their names in the conventions (`GenAI`, v1.41.1).
const NAMES: &[(&str, &str)] = &[
    ("model_id", MODEL),
    ("llm.model_name", MODEL),
    ("engine", PROVIDER),
    ("gen_ai.system", PROVIDER),
    ("llm.provider", PROVIDER),
    ("tokens", "gen_ai.usage.output_tokens"),
    ("token_count", "gen_ai.usage.output_tokens"),
    ("completion_tokens", "gen_ai.usage.output_tokens"),
    ("output_tokens", "gen_ai.usage.output_tokens"),
    (
        "gen_ai.usage.completion_tokens",
        "gen_ai.usage.output_tokens",
    ),
    ("llm.token_count.completion", "gen_ai.usage.output_tokens"),
    ("prompt_tokens", "gen_ai.usage.input_tokens"),
    ("input_tokens", "gen_ai.usage.input_tokens"),
    ("gen_ai.usage.prompt_tokens", "gen_ai.usage.input_tokens"),
    ("llm.token_count.prompt", "gen_ai.usage.input_tokens"),
    ("streaming", "gen_ai.request.stream"),
    ("stream", "gen_ai.request.stream"),
    ("error_type", "error.type"),
];

/// Returns the attribute of the semantic conventions for a field of another vocabulary.
fn convention(field: &str) -> Option<&'static str> {
    let counts = TokenDetail::ALL.map(|detail| (detail.field(), detail.attribute()));
    NAMES
        .iter()
        .chain(&counts)
        .find(|(known, _)| *known == field)
        .map(|(_, attribute)| *attribute)
}

/// Applies the conventions to spans.
pub(super) struct Conventions {
    side: Side,
    mapping: Mapping,
    redaction: Arc<Redaction>,
}

impl Conventions {
    /// `None` if the conventions are not configured.
    pub(super) fn new(
        side: Option<Side>,
        mapping: &Mapping,
        redaction: &Arc<Redaction>,
    ) -> Option<Self> {
        side.map(|side| Self {
            side,
            mapping: mapping.clone(),
            redaction: Arc::clone(redaction),
        })
    }

    pub(super) fn apply(&self, span: &mut SpanData) {
        let is_named = self.is_inference(&span.name);
        let kind = find(&span.attributes, "observatory.kind").map(|value| value.as_str());
        let is_inference = match kind {
            Some(kind) => self.is_inference(&kind),
            None => is_named || find(&span.attributes, OPERATION).is_some(),
        };
        if !is_inference {
            return;
        }
        self.add_attributes(span);
        let operation =
            find(&span.attributes, OPERATION).map_or(Cow::Borrowed("chat"), Value::as_str);
        if is_named {
            let model =
                find(&span.attributes, MODEL).filter(|_| !self.redaction.is_withheld(MODEL));
            let name = match model {
                Some(model) => format!("{operation} {}", model.as_str()),
                None => operation.into_owned(),
            };
            span.name = name.into();
        }
        // "Span kind SHOULD be CLIENT"; the conventions have no rule for spans of an inference engine.
        if self.side == Side::Client && span.span_kind == SpanKind::Internal {
            span.span_kind = SpanKind::Client;
        }
    }

    fn add_attributes(&self, span: &mut SpanData) {
        let mut added: BTreeMap<&'static str, Value> = BTreeMap::new();
        for pair in &span.attributes {
            let key = pair.key.as_str();
            let renamed = self.mapping.fields.get(key).map_or(key, String::as_str);
            // A withheld value must not be exported under another name.
            if self.redaction.is_withheld(key) {
                continue;
            }
            if let Some(name) = convention(renamed) {
                added.entry(name).or_insert_with(|| pair.value.clone());
            }
        }
        // Required attributes; the fallback values are those of the metrics.
        added.entry(OPERATION).or_insert_with(|| "chat".into());
        added.entry(PROVIDER).or_insert_with(|| "_OTHER".into());
        if matches!(span.status, Status::Error { .. }) {
            // "_OTHER": the fallback value of the conventions.
            added.entry("error.type").or_insert_with(|| "_OTHER".into());
        }
        added.retain(|name, _| find(&span.attributes, name).is_none());
        let added = added.into_iter();
        span.attributes
            .extend(added.map(|(name, value)| KeyValue::new(name, value)));
    }

    fn is_inference(&self, name: &str) -> bool {
        Kind::named(name, &self.mapping.spans) == Some(Kind::Inference)
    }
}

fn find<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    let pair = attributes.iter().find(|pair| pair.key.as_str() == key)?;
    Some(&pair.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        privacy::denying,
        traces::tail::tests::{failed, span, with},
    };

    fn applied(side: Side, span: SpanData) -> SpanData {
        applied_without(&[], side, span)
    }

    fn applied_without(denied: &[&str], side: Side, span: SpanData) -> SpanData {
        let mapping = Mapping::default()
            .with_span("generate", "inference")
            .with_field("llm", "model_id");
        let mut span = span;
        Conventions::new(Some(side), &mapping, &denying(denied))
            .unwrap()
            .apply(&mut span);
        span
    }

    fn named(name: &'static str) -> SpanData {
        let mut span = span(1, 1, 0);
        span.name = name.into();
        span
    }

    fn check(span: &SpanData, key: &str, expected: Option<&str>) {
        let found = find(&span.attributes, key).map(Value::as_str);
        assert_eq!(found.as_deref(), expected, "{key} of {span:?}");
    }

    #[test]
    fn an_inference_gets_the_attributes_of_the_conventions_beside_its_own_fields() {
        let span = with(with(named("inference"), "model_id", "gpt-4o"), "tokens", 7);
        let span = applied(Side::Client, with(span, "engine", "openai"));
        assert_eq!(
            (&*span.name, &span.span_kind),
            ("chat gpt-4o", &SpanKind::Client)
        );
        for (key, value) in [
            ("model_id", "gpt-4o"),
            ("gen_ai.request.model", "gpt-4o"),
            ("tokens", "7"),
            ("gen_ai.usage.output_tokens", "7"),
            ("gen_ai.provider.name", "openai"),
            ("gen_ai.operation.name", "chat"),
        ] {
            check(&span, key, Some(value));
        }
        check(&span, "error.type", None);
        let served = applied(Side::Server, with(named("generate"), "llm", "bge"));
        assert_eq!(
            (&*served.name, &served.span_kind),
            ("chat bge", &SpanKind::Internal)
        );
        check(&served, PROVIDER, Some("_OTHER"));
    }

    #[test]
    fn a_withheld_value_is_not_exported_under_another_name() {
        let named = || with(named("inference"), "model_id", "s3cret");
        for denied in [&["model_id"][..], &["gen_ai.request.model"]] {
            let span = applied_without(denied, Side::Client, named());
            assert_eq!(span.name, "chat");
        }
        let span = applied_without(&["model_id"], Side::Client, named());
        check(&span, MODEL, None);
    }

    #[test]
    fn attributes_that_the_application_has_set_stay() {
        let own = with(named("my call"), "gen_ai.operation.name", "execute_tool");
        let own = with(with(own, "model_id", "a"), "gen_ai.request.model", "b");
        let own = applied(Side::Client, failed(own));
        assert_eq!(own.name, "my call");
        check(&own, "gen_ai.request.model", Some("b"));
        check(&own, "error.type", Some("_OTHER"));
        let models = own
            .attributes
            .iter()
            .filter(|pair| pair.key.as_str() == MODEL);
        assert_eq!(models.count(), 1);
        let other = applied(Side::Client, with(named("step"), "model_id", "a"));
        assert_eq!((&*other.name, other.attributes.len()), ("step", 1));
        let declared = applied(
            Side::Client,
            with(named("step"), "observatory.kind", "inference"),
        );
        check(&declared, "gen_ai.operation.name", Some("chat"));
    }
}
