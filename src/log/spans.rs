//! Stores the fields of spans as they are recorded, and redacts them when a log line shows them.
//!
//! Most spans never appear in a line, and redacting a text costs more than copying it. Recording a field therefore only
//! copies it. The first line inside a span redacts the copy, outside every lock of the registry. A field that is
//! recorded again replaces its earlier value, so the memory of a long-lived span is bounded by the number of its
//! fields.

use std::sync::{Arc, Mutex};

use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::{
    fields::{Fields, RecordedFields},
    json::Object,
};
use crate::privacy::Redaction;
use crate::runtime::lock;

/// The stored fields, in the extensions of a span. No foreign code runs while they are locked.
#[derive(Clone)]
struct SpanFields(Arc<Mutex<StoredFields>>);

struct StoredFields {
    recorded: RecordedFields,
    /// The span as JSON, once a line has shown it; cleared when a field is recorded.
    json: Option<Vec<u8>>,
    /// True if the extension that the line formatter reads holds the current text.
    is_shown: bool,
}

/// Stores fields that were recorded on a span.
pub(super) fn store<'l, R: LookupSpan<'l>>(span: &SpanRef<'l, R>, recorded: RecordedFields) {
    if recorded.is_empty() {
        return;
    }
    // The stored fields are never locked while the extensions are locked: a line takes these locks in the other order.
    let stored = stored_fields(span).unwrap_or_else(|| get_or_create(span));
    lock(&stored).extend(recorded);
}

/// Returns the stored fields of a span. If two threads create them concurrently, the second finds those of the first.
fn get_or_create<'l, R: LookupSpan<'l>>(span: &SpanRef<'l, R>) -> Arc<Mutex<StoredFields>> {
    let mut extensions = span.extensions_mut();
    if let Some(SpanFields(stored)) = extensions.get_mut() {
        return Arc::clone(stored);
    }
    let stored = Arc::new(Mutex::new(StoredFields {
        recorded: RecordedFields::default(),
        json: None,
        is_shown: false,
    }));
    extensions.insert(SpanFields(Arc::clone(&stored)));
    stored
}

/// Redacts the stored fields of a span, and stores their text in the extension that the line formatter reads.
pub(super) fn show<'l, R: LookupSpan<'l>>(span: &SpanRef<'l, R>, redaction: &Redaction) {
    let Some(stored) = stored_fields(span) else {
        return;
    };
    let mut stored = lock(&stored);
    if stored.is_shown {
        return;
    }
    stored.recorded.redact(redaction);
    let text = tracing_subscriber::fmt::FormattedFields::<Fields>::new(stored.recorded.to_text());
    // Under the lock, so that a concurrent line does not store an older text afterwards.
    span.extensions_mut().replace(text);
    stored.is_shown = true;
}

/// Writes a span with its redacted fields as a JSON object.
pub(super) fn write_json<'l, R: LookupSpan<'l>>(
    out: &mut Vec<u8>,
    span: &SpanRef<'l, R>,
    redaction: &Redaction,
) {
    let Some(stored) = stored_fields(span) else {
        return Object::begin(out).with("name", span.name()).end();
    };
    let mut stored = lock(&stored);
    let StoredFields { recorded, json, .. } = &mut *stored;
    let json = json.get_or_insert_with(|| {
        recorded.redact(redaction);
        let mut json = Vec::new();
        let mut object = Object::begin(&mut json).with("name", span.name());
        for (name, value) in recorded.iter() {
            // The key `name` is the name of the span.
            let name = if name == "name" { "field.name" } else { name };
            object = object.with(name, value);
        }
        object.end();
        json
    });
    out.extend_from_slice(json);
}

/// Returns the redacted fields of a span; empty if no line formatter stores the fields of this span.
#[cfg(feature = "health")]
pub(crate) fn fields_of<'l, R: LookupSpan<'l>>(
    span: &SpanRef<'l, R>,
    redaction: &Redaction,
) -> Vec<(&'static str, String)> {
    let Some(stored) = stored_fields(span) else {
        return Vec::new();
    };
    let mut stored = lock(&stored);
    stored.recorded.redact(redaction);
    let fields = stored.recorded.iter();
    fields
        .map(|(name, value)| (name, value.to_string()))
        .collect()
}

fn stored_fields<'l, R: LookupSpan<'l>>(span: &SpanRef<'l, R>) -> Option<Arc<Mutex<StoredFields>>> {
    let extensions = span.extensions();
    extensions
        .get()
        .map(|SpanFields(stored)| Arc::clone(stored))
}

impl StoredFields {
    fn extend(&mut self, later: RecordedFields) {
        self.recorded.extend(later);
        self.json = None;
        self.is_shown = false;
    }
}

/// Returns the number of stored fields of a span.
#[cfg(test)]
pub(super) fn stored_field_count<'l, R: LookupSpan<'l>>(span: &SpanRef<'l, R>) -> usize {
    stored_fields(span).map_or(0, |stored| lock(&stored).recorded.iter().count())
}
