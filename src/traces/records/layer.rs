//! Copies events, for the thread that exports them.

use std::{sync::Arc, time::SystemTime};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::{
    Records,
    record::{Copied, Record},
};
use crate::{
    runtime::own_thread,
    traces::{
        gate::{self, Sampled},
        sampling::HeadSampler,
    },
};

/// Copies events, for the thread that exports them.
pub(in crate::traces) struct RecordLayer {
    pub(in crate::traces) records: Arc<Records>,
    pub(in crate::traces) level: Level,
    pub(in crate::traces) sampled: Arc<Sampled>,
    pub(in crate::traces) sampler: Arc<HeadSampler>,
}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Layer<S> for RecordLayer {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        if *metadata.level() > self.level || own_thread::is_marked() {
            return;
        }
        let span = context.event_span(event);
        let ids = span.and_then(|span| gate::ids_of(&span, &self.sampled, &self.sampler));
        let mut fields = Copied::default();
        event.record(&mut fields);
        self.records.put(Record {
            metadata,
            time: SystemTime::now(),
            ids,
            fields,
        });
    }
}
