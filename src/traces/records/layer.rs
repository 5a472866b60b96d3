//! Copies events into the queue of the thread that exports them.

use std::sync::Arc;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::{
    Records,
    record::{CopiedFields, Record},
};
use crate::{
    runtime::{clock::Clock, own_thread},
    traces::{
        gate::{self, SpanTable},
        sampling::HeadSampler,
    },
};

/// Copies events into the queue of the thread that exports them.
pub(in crate::traces) struct RecordLayer {
    pub(in crate::traces) records: Arc<Records>,
    pub(in crate::traces) level: Level,
    pub(in crate::traces) spans: Arc<SpanTable>,
    pub(in crate::traces) sampler: Arc<HeadSampler>,
    pub(in crate::traces) clock: Clock,
}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Layer<S> for RecordLayer {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        if *metadata.level() > self.level || own_thread::is_marked() {
            return;
        }
        let span = context.event_span(event);
        let ids = span.and_then(|span| gate::ids_of(&span, &self.spans, &self.sampler));
        let mut fields = CopiedFields::default();
        event.record(&mut fields);
        self.records.put(Record {
            metadata,
            time: self.clock.wall(),
            ids,
            fields,
        });
    }
}
