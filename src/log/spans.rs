//! Keeps the fields of spans as they were recorded, and judges them when a line is to show them.
//!
//! Most spans are never part of a line, and what a text may say costs more to judge than to copy. So a span that is
//! made or recorded on is copied only; the first line inside it judges the copy, outside every lock of the registry.
//! A value that is recorded anew takes the place of the earlier one, so a span that lives for ever stays as small as its
//! fields are.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::{
    fields::{Fields, Recorded},
    json::Object,
};
use crate::privacy::Redaction;

/// In the extensions of a span: what was recorded on it. No foreign code runs while it is locked.
#[derive(Clone)]
struct OfSpan(Arc<Mutex<Kept>>);

struct Kept {
    recorded: Recorded,
    /// As JSON, once a line has shown it; nothing where something was recorded since.
    json: Option<Vec<u8>>,
    /// Whether the text of it stands where the formatter of lines looks.
    is_shown: bool,
}

/// Keeps what was recorded on a span.
pub(super) fn keep<'l, R: LookupSpan<'l>>(span: &SpanRef<'l, R>, recorded: Recorded) {
    if recorded.is_empty() {
        return;
    }
    // What is kept is never locked while the extensions are: a line locks them in the other order.
    let kept = of(span).unwrap_or_else(|| of_or_new(span));
    lock(&kept).take(recorded);
}

/// Of two threads that are first at once the later finds what the earlier has made.
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

/// Judges what was recorded on a span, and puts it where the formatter of lines looks.
pub(super) fn show<'l, R: LookupSpan<'l>>(span: &SpanRef<'l, R>, redaction: &Redaction) {
    let Some(kept) = of(span) else { return };
    let mut kept = lock(&kept);
    if kept.is_shown {
        return;
    }
    kept.recorded.judge(redaction);
    let text = tracing_subscriber::fmt::FormattedFields::<Fields>::new(kept.recorded.to_text());
    // Under the lock, so that a line of another thread does not come in between.
    span.extensions_mut().replace(text);
    kept.is_shown = true;
}

/// Writes a span as a JSON object, with what may be shown of what was recorded on it.
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
            // A span has a name already.
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

/// How many fields are kept of a span.
#[cfg(test)]
pub(super) fn kept_fields<'l, R: LookupSpan<'l>>(span: &SpanRef<'l, R>) -> usize {
    of(span).map_or(0, |kept| lock(&kept).recorded.iter().count())
}
