//! Maps fields of a span that other formats than OTLP lack to attributes.
//!
//! OpenTelemetry, "Transformation to non-OTLP Formats". The encoders of other crates write the older names of a scope,
//! `otel.library.*`.

use opentelemetry::KeyValue;
use opentelemetry_sdk::trace::SpanData;

const DROPPED_ATTRIBUTES: &str = "otel.dropped_attributes_count";

/// The counts of dropped attributes, events and links that are above 0.
pub(super) fn dropped(span: &SpanData) -> impl Iterator<Item = KeyValue> {
    let counts = [
        (DROPPED_ATTRIBUTES, span.dropped_attributes_count),
        ("otel.dropped_events_count", span.events.dropped_count),
        ("otel.dropped_links_count", span.links.dropped_count),
    ];
    counts.into_iter().filter_map(|(key, n)| count(key, n))
}

/// The count of dropped attributes of an event, if above 0.
#[cfg(any(feature = "jaeger", feature = "zipkin"))]
pub(super) fn dropped_of_event(event: &opentelemetry::trace::Event) -> Option<KeyValue> {
    count(DROPPED_ATTRIBUTES, event.dropped_attributes_count)
}

/// The instrumentation scope of a span.
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
