//! The traces of the last minutes, in bounded memory: what ended last, what was slowest, what failed, what is open.
//!
//! Spans come here redacted, and before tail sampling: what is looked at here is every trace that head sampling keeps.
//! Open spans are not stored at all; the gate knows them.

mod report;
mod store;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use opentelemetry_sdk::trace::SpanData;

pub use self::report::{EventRecord, OpenSpan, SpanRecord, TraceSummary};
use self::store::Store;
use super::gate;
use crate::{runtime::Registered, traces::LiveConfig};

/// The traces of the last minutes. Cheap to clone.
///
/// Only traces that head sampling keeps are there. Where traces are off, or this is, there are none.
#[derive(Clone, Debug)]
pub struct LiveTraces {
    live: Option<Arc<Live>>,
    subscriber: Registered,
}

/// What the exporting thread fills and others read.
#[derive(Debug)]
pub(super) struct Live(Mutex<Store>);

impl Live {
    pub(super) fn new(config: &LiveConfig) -> Self {
        Self(Mutex::new(Store::new(config.window, config.bytes)))
    }

    pub(super) fn add(&self, spans: &[Arc<SpanData>], now: Instant) {
        let mut store = self.store();
        for span in spans {
            store.add(Arc::clone(span), now);
        }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LiveTraces {
    pub(super) fn new(live: Option<Arc<Live>>, subscriber: Registered) -> Self {
        Self { live, subscriber }
    }

    /// Whether traces are kept here at all.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.live.is_some()
    }

    /// Those of which a span ended last, the latest first.
    #[must_use]
    pub fn recent(&self, most: usize) -> Vec<TraceSummary> {
        self.with_roots(self.read(|store| store.recent(most)))
    }

    /// The slowest, in this order.
    #[must_use]
    pub fn slowest(&self, most: usize) -> Vec<TraceSummary> {
        let mut slowest = self.with_roots(self.read(|store| store.slowest(most)));
        slowest.sort_by_key(|trace| std::cmp::Reverse(trace.duration));
        slowest
    }

    /// Those in which a span failed, the latest first.
    #[must_use]
    pub fn failed(&self, most: usize) -> Vec<TraceSummary> {
        self.with_roots(self.read(|store| store.failed(most)))
    }

    /// The spans of a trace, in the order in which they began; empty for one that is not there.
    #[must_use]
    pub fn spans(&self, trace_id: u128) -> Vec<SpanRecord> {
        let mut spans = self.read(|store| store.spans(trace_id));
        spans.sort_by_key(|span| span.start_time);
        // Written out without the lock.
        spans.iter().map(|span| SpanRecord::of(span)).collect()
    }

    /// Spans of a trace that are not shown, for want of room.
    #[must_use]
    pub fn left_out(&self, trace_id: u128) -> usize {
        self.read(|store| store.left_out(trace_id))
    }

    /// Spans that are open, the oldest first.
    #[must_use]
    pub fn open(&self, most: usize) -> Vec<OpenSpan> {
        let subscriber = self.live.as_ref().and_then(|_| self.subscriber.get());
        let mut open = subscriber.map_or_else(Vec::new, |dispatch| gate::open_spans(&dispatch));
        open.sort_by_key(|span| std::cmp::Reverse(span.age));
        open.truncate(most);
        open
    }

    /// Those that are under way go by the span that is open the longest: what has ended of them is a part of it.
    fn with_roots(&self, mut traces: Vec<TraceSummary>) -> Vec<TraceSummary> {
        if traces.iter().all(|trace| trace.is_complete) {
            return traces;
        }
        let mut roots = HashMap::new();
        for span in self.open(usize::MAX) {
            if let Some(trace_id) = span.trace_id {
                roots.entry(trace_id).or_insert(span);
            }
        }
        for trace in traces.iter_mut().filter(|trace| !trace.is_complete) {
            if let Some(root) = roots.get(&trace.trace_id) {
                root.name.clone_into(&mut trace.name);
                trace.duration = trace.duration.max(root.age);
            }
        }
        traces
    }

    fn read<T: Default>(&self, ask: impl FnOnce(&mut Store) -> T) -> T {
        let Some(live) = &self.live else {
            return T::default();
        };
        let mut store = live.store();
        store.forget(Instant::now());
        ask(&mut store)
    }
}
