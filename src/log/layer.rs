//! Hears of spans and events: what is recorded on spans is kept, and events become lines.

use std::{cell::Cell, sync::Arc};

use tracing::{
    Event, Subscriber,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, fmt::MakeWriter, layer::Context, registry::LookupSpan};

use super::LogFormat;
use super::{
    Ids, SpanIds,
    fields::{Fields, Recorded},
    line::Line,
    spans,
};
use crate::privacy::Redaction;

thread_local! {
    /// Of the span that the line is about which this thread writes.
    static IDS: Cell<Option<SpanIds>> = const { Cell::new(None) };
}

/// The ids of the span that the line is about, as far as they are known without it.
pub(super) fn ids_of_line() -> Option<SpanIds> {
    IDS.get()
}

/// A layer of log lines: the usual one, with fields of spans that wait until a line shows them.
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
        // Foreign values are printed before anything is held.
        let mut recorded = Recorded::default();
        attributes.record(&mut recorded);
        if let Some(span) = context.span(id) {
            spans::keep(&span, recorded);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut recorded = Recorded::default();
        values.record(&mut recorded);
        if let Some(span) = context.span(id) {
            spans::keep(&span, recorded);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if self.format == LogFormat::Pretty {
            for span in context.event_scope(event).into_iter().flatten() {
                spans::show(&span, &self.redaction);
            }
        }
        // By the span itself: a filter of this layer hides spans, and their traces are no less the line's.
        let span = context.current_span();
        let span = event
            .parent()
            .or(span.id().filter(|_| event.is_contextual()));
        let before = IDS.replace(span.and_then(|id| self.ids.known(id)));
        self.inner.on_event(event, context);
        IDS.set(before);
    }
}
