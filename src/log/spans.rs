//! Stores the fields of spans as they are recorded, and redacts them when a log line shows them.
//!
//! Most spans never appear in a line, and redacting a text costs more than copying it. Recording a field therefore only
//! copies it. The first line inside a span redacts the copy, outside every lock of the registry. A field that is
//! recorded again replaces its earlier value, so the memory of a long-lived span is bounded by the number of its
//! fields.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::{
    fields::{Fields, Recorded},
    json::Object,
};
use crate::privacy::Redaction;

/// The stored fields, in the extensions of a span. No foreign code runs while they are locked.
#[derive(Clone)]
struct OfSpan(Arc<Mutex<Kept>>);

struct Kept {
    recorded: Recorded,
    /// The span as JSON, once a line has shown it; cleared when a field is recorded.
    json: Option<Vec<u8>>,
    /// Whether the extension that the line formatter reads holds the current text.
    is_shown: bool,
}

/// Stores fields that were recorded on a span.
pub(super) fn keep<'l, R: LookupSpan<'l>>(span: &SpanRef<'l, R>, recorded: Recorded) {
    if recorded.is_empty() {
        return;
    }
    // The stored fields are never locked while the extensions are locked: a line takes these locks in the other order.
    let kept = of(span).unwrap_or_else(|| of_or_new(span));
    lock(&kept).take(recorded);
}

/// Returns the stored fields of a span. If two threads create them concurrently, the second finds those of the first.
fn of_or_new<'l, R: LookupSpan<'l>>(span: &SpanRef<'l, R>) -> Arc<Mutex<Kept>> {
    let mut extensions = span.extensions_mut();
    if let Some(OfSpan(kept)) = extensions.get_mut() {
        return Arc::clone(kept);
    }
    let kept = Arc::new(Mutex::new(Kept {
        recorded: Recorded::default(),
        json: None,
        is_shown: false,
    }));
    extensions.insert(OfSpan(Arc::clone(&kept)));
    kept
}

/// Redacts the stored fields of a span, and stores their text in the extension that the line formatter reads.
pub(super) fn show<'l, R: LookupSpan<'l>>(span: &SpanRef<'l, R>, redaction: &Redaction) {
    let Some(kept) = of(span) else { return };
    let mut kept = lock(&kept);
    if kept.is_shown {
        return;
    }
    kept.recorded.judge(redaction);
    let text = tracing_subscriber::fmt::FormattedFields::<Fields>::new(kept.recorded.to_text());
    // Under the lock, so that a concurrent line does not store an older text afterwards.
    span.extensions_mut().replace(text);
    kept.is_shown = true;
}

/// Writes a span with its redacted fields as a JSON object.
pub(super) fn write_json<'l, R: LookupSpan<'l>>(
    out: &mut Vec<u8>,
    span: &SpanRef<'l, R>,
    redaction: &Redaction,
) {
    let Some(kept) = of(span) else {
        return Object::begin(out).with("name", span.name()).end();
    };
    let mut kept = lock(&kept);
    let Kept { recorded, json, .. } = &mut *kept;
    let json = json.get_or_insert_with(|| {
        recorded.judge(redaction);
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

fn of<'l, R: LookupSpan<'l>>(span: &SpanRef<'l, R>) -> Option<Arc<Mutex<Kept>>> {
    let extensions = span.extensions();
    extensions.get().map(|OfSpan(kept)| Arc::clone(kept))
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kept {
    fn take(&mut self, later: Recorded) {
        self.recorded.extend(later);
        self.json = None;
        self.is_shown = false;
    }
}

/// Returns the number of stored fields of a span.
#[cfg(test)]
pub(super) fn kept_fields<'l, R: LookupSpan<'l>>(span: &SpanRef<'l, R>) -> usize {
    of(span).map_or(0, |kept| lock(&kept).recorded.iter().count())
}
