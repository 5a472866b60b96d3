//! Keeps the fields of spans as they were recorded, and redacts them when a line is to show them.
//!
//! Most spans are never part of a line, and what a text may say costs more to judge than to copy. So a span that is
//! made or recorded on is copied only; the first line inside it judges the copy, outside every lock, and the judged
//! text stays with the span, where the formatter of lines looks for it.

use std::{
    cell::Cell,
    collections::VecDeque,
    fmt,
    sync::{Arc, OnceLock},
};

use opentelemetry::trace::SpanContext;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    fmt::{FormattedFields, MakeWriter},
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

use super::{
    Line,
    fields::{Fields, is_shown, printed},
};
use crate::traces::{
    gate::{self, Sampled},
    redaction::Redaction,
};

thread_local! {
    /// Of the sampled span that the line is about which this thread writes.
    static IDS: Cell<Option<SpanContext>> = const { Cell::new(None) };
}

/// The ids of the sampled span that the line is about.
pub(super) fn ids_of_line() -> Option<SpanContext> {
    let ids = IDS.take();
    IDS.set(ids.clone());
    ids
}

/// A layer of log lines for people: the usual one, with fields of spans that wait until a line shows them.
pub(super) struct LogLayer<S, W> {
    pub(super) inner: tracing_subscriber::fmt::Layer<S, Fields, Line, W>,
    pub(super) redaction: Arc<Redaction>,
    pub(super) sampled: Arc<Sampled>,
    /// Whether lines show the fields of the spans around them.
    pub(super) shows_spans: bool,
}

/// What was recorded on a span and is in no line yet, the oldest first.
#[derive(Default)]
struct Waiting(VecDeque<Arc<Recorded>>);

/// Fields, as they were recorded at one time.
#[derive(Default)]
struct Recorded {
    fields: Vec<(&'static str, String)>,
    /// What may be shown of them. Of two lines at one time, one judges and the other waits for it.
    shown: OnceLock<String>,
}

impl<S, W> LogLayer<S, W>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
{
    /// Keeps what `record` gives to a visitor.
    fn keep(&self, id: &Id, context: &Context<'_, S>, record: impl FnOnce(&mut Recorded)) {
        if !self.shows_spans {
            return;
        }
        let mut recorded = Recorded::default();
        record(&mut recorded);
        if recorded.fields.is_empty() {
            return;
        }
        let recorded = Arc::new(recorded);
        let Some(span) = context.span(id) else { return };
        let mut extensions = span.extensions_mut();
        if let Some(Waiting(waiting)) = extensions.get_mut() {
            waiting.push_back(recorded);
        } else {
            extensions.insert(Waiting(VecDeque::from([recorded])));
        }
    }
}

impl<S, W> Layer<S> for LogLayer<S, W>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.keep(id, &context, |recorded| attributes.record(recorded));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.keep(id, &context, |recorded| values.record(recorded));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if self.shows_spans {
            for span in context.event_scope(event).into_iter().flatten() {
                judge(&span, &self.redaction);
            }
        }
        // By the span itself: a filter of this layer hides spans, and their traces are no less the line's.
        let span = context.current_span();
        let span = event
            .parent()
            .or(span.id().filter(|_| event.is_contextual()));
        let ids = span.and_then(|id| gate::name_of(id, &self.sampled));
        let before = IDS.replace(ids);
        self.inner.on_event(event, context);
        IDS.set(before);
    }
}

/// Judges what waits at a span, and puts it where the formatter looks.
fn judge<'l, S: LookupSpan<'l>>(span: &SpanRef<'l, S>, redaction: &Redaction) {
    let waiting = match span.extensions().get() {
        Some(Waiting(waiting)) if !waiting.is_empty() => waiting.clone(),
        _ => return,
    };
    for recorded in &waiting {
        recorded.shown(redaction);
    }
    let mut extensions = span.extensions_mut();
    let mut shown = extensions
        .remove()
        .unwrap_or_else(|| FormattedFields::<Fields>::new(String::new()));
    if let Some(Waiting(still)) = extensions.get_mut() {
        for recorded in &waiting {
            // Another line may have put it there since.
            if still
                .pop_front_if(|first| Arc::ptr_eq(first, recorded))
                .is_none()
            {
                continue;
            }
            let text = recorded.shown(redaction);
            if !shown.fields.is_empty() && !text.is_empty() {
                shown.fields.push(' ');
            }
            shown.fields.push_str(text);
        }
    }
    extensions.insert(shown);
}

impl Recorded {
    fn shown(&self, redaction: &Redaction) -> &str {
        self.shown
            .get_or_init(|| Fields::text(&self.fields, redaction))
    }

    fn add(&mut self, field: &Field, print: impl FnOnce() -> String) {
        if is_shown(field.name()) {
            self.fields.push((field.name(), print()));
        }
    }
}

impl Visit for Recorded {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, || value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, || printed(value));
    }
}
