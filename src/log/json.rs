//! An event as a JSON object on a line.
//!
//! The keys stand in one order in every line: `timestamp`, `level`, `target`, `message`, `fields`, then `trace_id`,
//! `span_id` and `trace_flags` where there is a trace, then `span`, the innermost one, and `spans`, the outermost first,
//! as in tracing-subscriber's own JSON.

use std::time::SystemTime;

use serde::Serialize;
use tracing::Event;
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::{
    SpanIds,
    fields::{Recorded, Value},
    spans,
};
use crate::privacy::Redaction;

/// What a line says beside the event.
pub(super) struct About {
    pub(super) ids: Option<SpanIds>,
    pub(super) now: SystemTime,
}

/// The line; `spans` are those around the event, the innermost first.
pub(super) fn line<'l, R: LookupSpan<'l> + 'l>(
    event: &Event<'_>,
    spans: impl Iterator<Item = SpanRef<'l, R>>,
    about: &About,
    redaction: &Redaction,
) -> String {
    let normalized = event.normalized_metadata();
    let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
    let mut recorded = Recorded::default();
    event.record(&mut recorded);
    recorded.judge(redaction);
    let is_message = |(name, _): &(&str, &Value)| *name == "message";
    let time = humantime::format_rfc3339_micros(about.now).to_string();
    let mut out = Vec::with_capacity(256);
    let mut object = Object::begin(&mut out)
        .with("timestamp", &time)
        .with("level", metadata.level().as_str())
        .with("target", metadata.target())
        .with(
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
    around(&mut object, spans, redaction);
    object.end();
    // It was written as UTF-8.
    String::from_utf8(out).unwrap_or_default()
}

/// The spans around an event: the innermost, and all of them from the outermost on.
fn around<'l, R: LookupSpan<'l> + 'l>(
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
    for (place, span) in spans.iter().rev().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        spans::write_json(out, span, redaction);
    }
    out.push(b']');
}

/// A JSON object, key by key in the order they are given.
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

    /// Writes a key; its value is whatever is written next.
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
    // Texts, numbers and truth values into memory: there is nothing that could fail.
    let _ = serde_json::to_writer(out, value);
}
