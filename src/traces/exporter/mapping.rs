//! What formats other than OTLP have no place of their own for, as attributes.
//!
//! OpenTelemetry, "Transformation to non-OTLP Formats". Its older names of a scope, `otel.library.*`, are written by the
//! encoders of others.

use opentelemetry::KeyValue;
use opentelemetry_sdk::trace::SpanData;

const DROPPED_ATTRIBUTES: &str = "otel.dropped_attributes_count";

/// How much of a span there was no room for; nothing where there was.
pub(super) fn dropped(span: &SpanData) -> impl Iterator<Item = KeyValue> {
    let counts = [
        (DROPPED_ATTRIBUTES, span.dropped_attributes_count),
        ("otel.dropped_events_count", span.events.dropped_count),
        ("otel.dropped_links_count", span.links.dropped_count),
    ];
    counts.into_iter().filter_map(|(key, n)| count(key, n))
}

/// The same of an event.
#[cfg(any(feature = "jaeger", feature = "zipkin"))]
pub(super) fn dropped_of_event(event: &opentelemetry::trace::Event) -> Option<KeyValue> {
    count(DROPPED_ATTRIBUTES, event.dropped_attributes_count)
}

/// Who made a span.
#[cfg(any(feature = "jaeger", feature = "zipkin"))]
pub(super) fn scope(span: &SpanData) -> impl Iterator<Item = KeyValue> {
    let scope = &span.instrumentation_scope;
    let pairs = [
        ("otel.scope.name", Some(scope.name())),
        ("otel.scope.version", scope.version()),
    ];
    pairs
        .into_iter()
        .filter_map(|(key, value)| Some((key, value.filter(|value| !value.is_empty())?)))
        .map(|(key, value)| KeyValue::new(key, value.to_owned()))
        .chain(scope.attributes().cloned())
}

fn count(key: &'static str, count: u32) -> Option<KeyValue> {
    (count > 0).then(|| KeyValue::new(key, i64::from(count)))
}
