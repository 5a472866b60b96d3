//! The `tracing` layer that stores the fields of spans and writes events as log lines.

use std::{cell::Cell, sync::Arc};

use tracing::{
    Event, Subscriber,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, fmt::MakeWriter, layer::Context, registry::LookupSpan};

use super::LogFormat;
use super::{
    Ids, SpanIds,
    fields::{Fields, RecordedFields},
    line::Line,
    spans,
};
use crate::privacy::Redaction;

thread_local! {
    /// The ids of the span around the event that this thread is writing.
    static IDS: Cell<Option<SpanIds>> = const { Cell::new(None) };
}

/// Returns the ids of the span around the current event, if they are known without the span's data.
pub(super) fn ids_of_line() -> Option<SpanIds> {
    IDS.get()
}

/// The layer of log lines: tracing-subscriber's, with redaction of span fields deferred until a line shows them.
pub(super) struct LogLayer<S, I, W> {
    pub(super) inner: tracing_subscriber::fmt::Layer<S, Fields, Line<I>, W>,
    pub(super) redaction: Arc<Redaction>,
    pub(super) ids: I,
    pub(super) format: LogFormat,
}

impl<S, I, W> Layer<S> for LogLayer<S, I, W>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    I: Ids,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        // Foreign `Debug` code runs before any lock is taken.
        let mut recorded = RecordedFields::default();
        attributes.record(&mut recorded);
        if let Some(span) = context.span(id) {
            spans::store(&span, recorded);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut recorded = RecordedFields::default();
        values.record(&mut recorded);
        if let Some(span) = context.span(id) {
            spans::store(&span, recorded);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if self.format == LogFormat::Pretty {
            for span in context.event_scope(event).into_iter().flatten() {
                spans::show(&span, &self.redaction);
            }
        }
        // By the span's id: the filter of this layer hides spans, but their trace ids still belong in the line.
        let span = context.current_span();
        let span = event
            .parent()
            .or(span.id().filter(|_| event.is_contextual()));
        let before = IDS.replace(span.and_then(|id| self.ids.known(id)));
        self.inner.on_event(event, context);
        IDS.set(before);
    }
}
