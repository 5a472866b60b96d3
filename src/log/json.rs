//! Formats an event as a JSON object on one line.
//!
//! The order of keys is the same in every line: `timestamp`, `level`, `target`, `name` if the event has a name of its own
//! (`info!(name: "token", …)`), `message`, `fields`, then `trace_id`,
//! `span_id` and `trace_flags` if there is a trace, then `span` (the innermost span) and `spans` (from the outermost),
//! as in tracing-subscriber's own JSON.

use std::time::SystemTime;

use serde::Serialize;
use tracing::Event;
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::{
    SpanIds,
    fields::{RecordedFields, Value},
    spans,
};
use crate::privacy::Redaction;

/// Data of a line that is not part of the event.
pub(super) struct LineContext {
    pub(super) ids: Option<SpanIds>,
    pub(super) now: SystemTime,
}

/// Formats a line; `spans` are the spans around the event, the innermost first.
pub(super) fn line<'l, R: LookupSpan<'l> + 'l>(
    event: &Event<'_>,
    spans: impl Iterator<Item = SpanRef<'l, R>>,
    about: &LineContext,
    redaction: &Redaction,
) -> String {
    let normalized = event.normalized_metadata();
    let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
    let mut recorded = RecordedFields::default();
    event.record(&mut recorded);
    recorded.redact(redaction);
    let is_message = |(name, _): &(&str, &Value)| *name == "message";
    let time = humantime::format_rfc3339_micros(about.now).to_string();
    let mut out = Vec::with_capacity(256);
    let mut object = Object::begin(&mut out)
        .with("timestamp", &time)
        .with("level", metadata.level().as_str())
        .with("target", metadata.target());
    // Without a name of its own, an event is named after its place in the code.
    if !metadata.name().starts_with("event ") && normalized.is_none() {
        object = object.with("name", metadata.name());
    }
    object = object.with(
        "message",
        &recorded.iter().find(is_message).map(|(_, text)| text),
    );
    let mut fields = Object::begin(object.key("fields"));
    for (name, value) in recorded.iter().filter(|field| !is_message(field)) {
        fields = fields.with(name, value);
    }
    fields.end();
    if let Some(ids) = about.ids {
        object = object
            .with("trace_id", &format!("{:032x}", ids.trace_id))
            .with("span_id", &format!("{:016x}", ids.span_id))
            .with("trace_flags", if ids.is_sampled { "01" } else { "00" });
    }
    write_spans(&mut object, spans, redaction);
    object.end();
    // The bytes were written as UTF-8.
    String::from_utf8(out).unwrap_or_default()
}

/// Writes the spans around an event: the innermost span, and all spans from the outermost.
fn write_spans<'l, R: LookupSpan<'l> + 'l>(
    object: &mut Object<'_>,
    spans: impl Iterator<Item = SpanRef<'l, R>>,
    redaction: &Redaction,
) {
    let spans: Vec<_> = spans.collect();
    if let Some(innermost) = spans.first() {
        spans::write_json(object.key("span"), innermost, redaction);
    }
    let out = object.key("spans");
    out.push(b'[');
    for (index, span) in spans.iter().rev().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        spans::write_json(out, span, redaction);
    }
    out.push(b']');
}

/// Writes a JSON object, with its keys in the order of the calls.
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

impl<'o> Object<'o> {
    pub(super) fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self {
            out,
            is_empty: true,
        }
    }

    pub(super) fn with<T: Serialize + ?Sized>(mut self, key: &str, value: &T) -> Self {
        write(self.key(key), value);
        self
    }

    /// Writes a key; the caller writes its value next.
    fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.is_empty) {
            self.out.push(b',');
        }
        write(self.out, key);
        self.out.push(b':');
        self.out
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }
}

fn write<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Writing strings, numbers and booleans to memory cannot fail.
    let _ = serde_json::to_writer(out, value);
}
