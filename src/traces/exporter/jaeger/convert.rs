//! Converts spans of the current OpenTelemetry to the types of version 0.23.

use opentelemetry::{Array, Key, KeyValue, Value, trace as new};
use opentelemetry_0_23::{
    Array as OldArray, Key as OldKey, KeyValue as OldKeyValue, Value as OldValue, trace as old,
};
use opentelemetry_sdk::trace::SpanData;
use opentelemetry_sdk_0_23::{
    InstrumentationLibrary, Resource,
    export::trace::SpanData as OldSpanData,
    trace::{SpanEvents, SpanLinks},
};

use crate::traces::exporter::mapping;

pub(super) fn span(span: &SpanData) -> OldSpanData {
    let scope = &span.instrumentation_scope;
    let library = InstrumentationLibrary::builder(scope.name().to_owned());
    let library = match scope.version() {
        Some(version) => library.with_version(version.to_owned()),
        None => library,
    };
    OldSpanData {
        span_context: context(&span.span_context),
        parent_span_id: old::SpanId::from_bytes(span.parent_span_id.to_bytes()),
        span_kind: match span.span_kind {
            new::SpanKind::Client => old::SpanKind::Client,
            new::SpanKind::Server => old::SpanKind::Server,
            new::SpanKind::Producer => old::SpanKind::Producer,
            new::SpanKind::Consumer => old::SpanKind::Consumer,
            new::SpanKind::Internal => old::SpanKind::Internal,
        },
        name: span.name.clone(),
        start_time: span.start_time,
        end_time: span.end_time,
        attributes: tags(span),
        dropped_attributes_count: span.dropped_attributes_count,
        events: events(&span.events),
        links: links(&span.links),
        status: match &span.status {
            new::Status::Unset => old::Status::Unset,
            new::Status::Ok => old::Status::Ok,
            new::Status::Error { description } => old::Status::Error {
                description: description.clone(),
            },
        },
        // A request carries the resource once, as Jaeger's process.
        resource: std::borrow::Cow::Owned(Resource::empty()),
        instrumentation_lib: library.build(),
    }
}

pub(super) fn pair(key: &Key, value: &Value) -> OldKeyValue {
    OldKeyValue::new(OldKey::new(key.as_str().to_owned()), self::value(value))
}

/// The attributes of a span as Jaeger's tags, with tags for the fields that Jaeger's format lacks.
fn tags(span: &SpanData) -> Vec<OldKeyValue> {
    let mut tags = pairs(&span.attributes);
    let extra = mapping::scope(span).chain(mapping::dropped(span));
    tags.extend(extra.map(|KeyValue { key, value, .. }| pair(&key, &value)));
    if matches!(span.status, new::Status::Error { .. }) {
        // Viewers look for `error = true`, which the encoder only adds to a span without the tag: the original moves.
        for tag in &mut tags {
            if tag.key.as_str() == "error" {
                tag.key = OldKey::from_static_str("error.message");
            }
        }
    }
    tags
}

fn pairs(pairs: &[KeyValue]) -> Vec<OldKeyValue> {
    pairs
        .iter()
        .map(|KeyValue { key, value, .. }| pair(key, value))
        .collect()
}

fn value(value: &Value) -> OldValue {
    match value {
        Value::Bool(value) => OldValue::Bool(*value),
        Value::I64(value) => OldValue::I64(*value),
        Value::F64(value) => OldValue::F64(*value),
        Value::String(text) => OldValue::String(text.as_str().to_owned().into()),
        Value::Array(Array::Bool(values)) => OldValue::Array(OldArray::Bool(values.clone())),
        Value::Array(Array::I64(values)) => OldValue::Array(OldArray::I64(values.clone())),
        Value::Array(Array::F64(values)) => OldValue::Array(OldArray::F64(values.clone())),
        // Text arrays, and kinds that version 0.23 lacks, become text.
        other => OldValue::String(other.to_string().into()),
    }
}

fn context(context: &new::SpanContext) -> old::SpanContext {
    old::SpanContext::new(
        old::TraceId::from_bytes(context.trace_id().to_bytes()),
        old::SpanId::from_bytes(context.span_id().to_bytes()),
        old::TraceFlags::new(context.trace_flags().to_u8()),
        context.is_remote(),
        // Jaeger's format has no field for the trace state.
        old::TraceState::NONE,
    )
}

fn events(events: &opentelemetry_sdk::trace::SpanEvents) -> SpanEvents {
    let mut converted = SpanEvents::default();
    converted.dropped_count = events.dropped_count;
    converted.events = events
        .events
        .iter()
        .map(|event| {
            let mut attributes = pairs(&event.attributes);
            let extra = mapping::dropped_of_event(event);
            attributes.extend(extra.map(|KeyValue { key, value, .. }| pair(&key, &value)));
            let dropped = event.dropped_attributes_count;
            old::Event::new(event.name.clone(), event.timestamp, attributes, dropped)
        })
        .collect();
    converted
}

fn links(links: &opentelemetry_sdk::trace::SpanLinks) -> SpanLinks {
    let mut converted = SpanLinks::default();
    converted.dropped_count = links.dropped_count;
    converted.links = links
        .links
        .iter()
        .map(|link| {
            let attributes = pairs(&link.attributes);
            let dropped = link.dropped_attributes_count;
            old::Link::new(context(&link.span_context), attributes, dropped)
        })
        .collect();
    converted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traces::tail::tests;

    #[test]
    fn an_error_is_a_bool_and_dropped_items_are_counted() {
        let mut given = tests::with(tests::failed(tests::span(1, 1, 0)), "error", "timeout");
        given.dropped_attributes_count = 2;
        given.events.dropped_count = 3;
        given.links.dropped_count = 4;
        given.instrumentation_scope = opentelemetry::InstrumentationScope::builder("mine")
            .with_version("1.2")
            .build();
        let texts = |span: &SpanData| -> Vec<String> {
            let tags = tags(span);
            tags.iter()
                .map(|tag| format!("{}={}", tag.key, tag.value))
                .collect()
        };
        let expected = [
            "error.message=timeout",
            "otel.scope.name=mine",
            "otel.scope.version=1.2",
            "otel.dropped_attributes_count=2",
            "otel.dropped_events_count=3",
            "otel.dropped_links_count=4",
        ];
        assert_eq!(texts(&given), expected);
        let unset = tests::with(tests::span(1, 1, 0), "error", false);
        assert_eq!(texts(&unset), ["error=false"]);
    }
}
