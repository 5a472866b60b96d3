//! Estimates the memory of spans in bytes, closely enough for memory limits.

use std::mem::size_of;

use opentelemetry::{
    Array, KeyValue, Value,
    trace::{SpanContext, Status, TraceState},
};
use opentelemetry_sdk::trace::SpanData;

pub(super) fn bytes_of(span: &SpanData) -> usize {
    let events = span
        .events
        .events
        .iter()
        .map(|event| size_of_val(event) + event.name.len() + of_attributes(&event.attributes));
    let links = span.links.links.iter().map(|link| {
        size_of_val(link) + of_state(&link.span_context) + of_attributes(&link.attributes)
    });
    let description = match &span.status {
        Status::Error { description } => description.len(),
        Status::Unset | Status::Ok => 0,
    };
    size_of::<SpanData>()
        + of_state(&span.span_context)
        + span.name.len()
        + description
        + of_attributes(&span.attributes)
        + events.sum::<usize>()
        + links.sum::<usize>()
}

/// The trace state, of which every span has its own copy.
fn of_state(context: &SpanContext) -> usize {
    let state = context.trace_state();
    if *state == TraceState::default() {
        return 0;
    }
    let header = state.header();
    let members = header.split(',').count();
    header.len() + members * size_of::<(String, String)>()
}

fn of_attributes(attributes: &[KeyValue]) -> usize {
    let pairs = attributes
        .iter()
        .map(|pair| size_of::<KeyValue>() + pair.key.as_str().len() + of_value(&pair.value));
    pairs.sum()
}

fn of_value(value: &Value) -> usize {
    match value {
        Value::String(text) => text.as_str().len(),
        Value::Array(Array::String(texts)) => texts
            .iter()
            .map(|text| size_of_val(text) + text.as_str().len())
            .sum(),
        Value::Array(Array::Bool(values)) => size_of_val(values.as_slice()),
        Value::Array(Array::I64(values)) => size_of_val(values.as_slice()),
        Value::Array(Array::F64(values)) => size_of_val(values.as_slice()),
        // Numbers and booleans are part of the pair itself.
        _ => 0,
    }
}
