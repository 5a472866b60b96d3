//! Writes spans to standard error: as indented text, or as a JSON object on each line.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, Write as _},
    time::SystemTime,
};

use opentelemetry::{
    KeyValue, SpanId, Value,
    trace::{SpanKind, Status},
};
use opentelemetry_sdk::{Resource, trace::SpanData};
use serde_json::{Map, json};

use super::super::{Encoded, Export, ExportError, Sending, mapping::dropped, split_batch::Part};
use crate::{
    log::printable,
    traces::{ConsoleFormat, TracesConfig, TracesError},
};

/// Held by the thread that writes: a process has one standard error.
static WRITING: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(1);

/// Writes spans to standard error.
struct Console(ConsoleFormat);

#[expect(clippy::unnecessary_wraps, reason = "other exporters can fail")]
pub(super) fn build(config: &TracesConfig, _: &Resource) -> Result<Box<dyn Export>, TracesError> {
    Ok(Box::new(Console(config.console)))
}

impl Export for Console {
    fn address(&self) -> String {
        "standard error".to_owned()
    }

    fn encode(&self, spans: Vec<SpanData>) -> Vec<Part> {
        let mut text = String::new();
        for span in &spans {
            match self.0 {
                ConsoleFormat::Pretty => pretty(span, &mut text),
                ConsoleFormat::Json => {
                    // Writing to a string cannot fail.
                    let _ = writeln!(text, "{}", json_of(span));
                }
            }
        }
        vec![Part {
            encoded: Encoded { body: text.into() },
            items: spans.len(),
            is_too_large: false,
        }]
    }

    fn send<'a>(&'a self, request: &'a Encoded) -> Sending<'a> {
        Box::pin(write(request))
    }
}

/// Writes a batch in one piece, so that no other line comes between its lines; on a thread that may block, since the
/// reader of a pipe may be slow.
async fn write(request: &Encoded) -> Result<usize, ExportError> {
    // The permit lasts until the batch is written, even if the caller stops waiting: at most one thread blocks.
    let permit = WRITING.acquire().await;
    let body = request.body.clone();
    let written = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let mut out = io::stderr().lock();
        out.write_all(&body).and_then(|()| out.flush())
    });
    written
        .await
        .map_err(|error| ExportError::Io(error.to_string()))?
        .map_err(|error| ExportError::Io(error.to_string()))?;
    Ok(0)
}

fn pretty(span: &SpanData, out: &mut String) {
    let took = span.end_time.duration_since(span.start_time);
    let status = match &span.status {
        Status::Unset => String::new(),
        Status::Ok => "  ok".to_owned(),
        Status::Error { description } => format!("  error {}", shown(description)),
    };
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "{} {} {:?}{status}\n  trace {:?} span {:?}{}",
        kind(&span.span_kind),
        shown(&span.name),
        took.unwrap_or_default(),
        span.span_context.trace_id(),
        span.span_context.span_id(),
        parent(span).map_or(String::new(), |id| format!(" parent {id}")),
    );
    for KeyValue { key, value, .. } in span.attributes.iter().cloned().chain(dropped(span)) {
        let (key, value) = (shown(key.as_str()), value.to_string());
        let _ = writeln!(out, "  {key} = {}", shown(&value));
    }
    for event in &span.events.events {
        let after = event.timestamp.duration_since(span.start_time);
        let (after, name) = (after.unwrap_or_default(), shown(&event.name));
        let _ = writeln!(out, "  +{after:?} {name}");
    }
}

/// The text without control characters, which a terminal would obey.
fn shown(text: &str) -> Cow<'_, str> {
    printable(text, |_| false)
}

/// A span as JSON, with OTLP's names.
fn json_of(span: &SpanData) -> serde_json::Value {
    let scope = &span.instrumentation_scope;
    let events: Vec<_> = span
        .events
        .iter()
        .map(|event| {
            json!({
                "name": event.name,
                "timeUnixNano": nanoseconds(event.timestamp),
                "attributes": attributes(&event.attributes),
                "droppedAttributesCount": event.dropped_attributes_count,
            })
        })
        .collect();
    let links: Vec<_> = span
        .links
        .iter()
        .map(|link| {
            json!({
                "traceId": format!("{:?}", link.span_context.trace_id()),
                "spanId": format!("{:?}", link.span_context.span_id()),
            })
        })
        .collect();
    let (status, message) = match &span.status {
        Status::Unset => ("unset", None),
        Status::Ok => ("ok", None),
        Status::Error { description } => ("error", Some(description)),
    };
    json!({
        "traceId": format!("{:?}", span.span_context.trace_id()),
        "spanId": format!("{:?}", span.span_context.span_id()),
        "parentSpanId": parent(span),
        "name": span.name,
        "kind": kind(&span.span_kind),
        "startTimeUnixNano": nanoseconds(span.start_time),
        "endTimeUnixNano": nanoseconds(span.end_time),
        "attributes": attributes(&span.attributes),
        "droppedAttributesCount": span.dropped_attributes_count,
        "events": events,
        "droppedEventsCount": span.events.dropped_count,
        "links": links,
        "droppedLinksCount": span.links.dropped_count,
        "scope": { "name": scope.name(), "version": scope.version() },
        "status": { "code": status, "message": message },
    })
}

fn parent(span: &SpanData) -> Option<String> {
    (span.parent_span_id != SpanId::INVALID).then(|| format!("{:?}", span.parent_span_id))
}

fn kind(kind: &SpanKind) -> &'static str {
    match kind {
        SpanKind::Client => "client",
        SpanKind::Server => "server",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
        SpanKind::Internal => "internal",
    }
}

/// Nanoseconds as a string: many JSON parsers read numbers as `f64`.
fn nanoseconds(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_nanos().to_string()
}

/// Attributes as a JSON object.
pub(in crate::traces::exporter) fn attributes(
    attributes: &[KeyValue],
) -> Map<String, serde_json::Value> {
    let value = |value: &Value| match value {
        Value::Bool(value) => json!(value),
        Value::I64(value) => json!(value),
        Value::F64(value) => json!(value),
        // Arrays, too, as OpenTelemetry displays them.
        other => json!(other.to_string()),
    };
    attributes
        .iter()
        .map(|pair| (pair.key.to_string(), value(&pair.value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use opentelemetry::{InstrumentationScope, trace::Event};

    use super::*;
    use crate::traces::tail::tests;

    fn hostile() -> SpanData {
        let text = "a\x1b[2J\u{9b}31m\r\nb";
        let mut span = tests::with(tests::span(1, 2, 0), "key\x07", text);
        span.name = text.into();
        span.status = Status::error(text);
        span.dropped_attributes_count = 7;
        span.events.dropped_count = 1;
        span.events.events = vec![Event::with_name(text.to_owned())];
        span.instrumentation_scope = InstrumentationScope::builder("mine")
            .with_version("1")
            .build();
        span
    }

    #[test]
    fn control_characters_are_escaped() {
        let mut found = String::new();
        pretty(&hostile(), &mut found);
        let shown = r"a\u{1b}[2J\u{9b}31m\r\nb";
        assert_eq!(found.matches(shown).count(), 4, "{found}");
        assert!(found.contains(r"key\u{7} = a"), "{found}");
        assert!(
            !found.contains(|c: char| c.is_control() && c != '\n'),
            "{found}"
        );
        let lines = [
            "  otel.dropped_attributes_count = 7",
            "  otel.dropped_events_count = 1",
        ];
        for line in lines {
            assert!(found.lines().any(|found| found == line), "{found}");
        }
        // Name, ids, three attributes, an event.
        assert_eq!(found.lines().count(), 6, "{found}");
    }

    #[test]
    fn json_names_the_scope_and_the_dropped_counts() {
        let found = json_of(&hostile());
        assert_eq!(found["scope"], json!({ "name": "mine", "version": "1" }));
        assert_eq!(found["droppedAttributesCount"], 7);
        assert_eq!(found["droppedEventsCount"], 1);
    }
}
