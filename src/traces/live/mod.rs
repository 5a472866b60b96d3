//! Keeps the traces of the last minutes in bounded memory: recent, slow and failed traces, and open spans.
//!
//! The spans are redacted and come before tail sampling, so every trace that head sampling samples is listed. Open spans
//! are read from the gate.

mod packed;
mod report;
mod store;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Instant,
};

use opentelemetry_sdk::trace::SpanData;

pub use self::report::{EventRecord, OpenSpan, SpanRecord, TraceSummary};
use self::store::Store;
use super::gate;
use crate::{
    runtime::{Registered, lock},
    traces::LiveConfig,
};

/// The sampled traces of the last minutes. Cheap to clone.
///
/// The lists are empty if traces or live traces are disabled.
#[derive(Clone, Debug)]
pub struct LiveTraces {
    live: Option<Arc<Live>>,
    subscriber: Registered,
}

/// The store that the exporting thread fills and other threads read.
#[derive(Debug)]
pub(super) struct Live(Mutex<Store>);

impl Live {
    pub(super) fn new(config: &LiveConfig) -> Self {
        Self(Mutex::new(Store::new(config.window, config.bytes)))
    }

    pub(super) fn add(&self, spans: &[SpanData], now: Instant) {
        let mut store = self.store();
        for span in spans {
            store.add(span, now);
        }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.0)
    }
}

impl LiveTraces {
    pub(super) fn new(live: Option<Arc<Live>>, subscriber: Registered) -> Self {
        Self { live, subscriber }
    }

    /// Returns `true` if live traces are enabled.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.live.is_some()
    }

    /// Traces by the end of their last span, the latest first.
    #[must_use]
    pub fn recent(&self, max: usize) -> Vec<TraceSummary> {
        self.with_roots(self.read(|store| store.recent(max)))
    }

    /// The slowest traces, the slowest first.
    #[must_use]
    pub fn slowest(&self, max: usize) -> Vec<TraceSummary> {
        let mut slowest = self.with_roots(self.read(|store| store.slowest(max)));
        slowest.sort_by_key(|trace| std::cmp::Reverse(trace.duration));
        slowest
    }

    /// Traces with a failed span, the latest first.
    #[must_use]
    pub fn failed(&self, max: usize) -> Vec<TraceSummary> {
        self.with_roots(self.read(|store| store.failed(max)))
    }

    /// The ended spans of a trace in the order of their start; empty if the trace is not in the store.
    #[must_use]
    pub fn spans(&self, trace_id: u128) -> Vec<SpanRecord> {
        let mut spans = self.read(|store| store.spans(trace_id));
        spans.sort_by_key(|span| span.start);
        // The conversion does not hold the lock.
        spans.iter().map(SpanRecord::of).collect()
    }

    /// The number of spans of a trace that were left out to bound memory.
    #[must_use]
    pub fn left_out(&self, trace_id: u128) -> usize {
        self.read(|store| store.left_out(trace_id))
    }

    /// Sampled spans that are open, the oldest first.
    #[must_use]
    pub fn open(&self, max: usize) -> Vec<OpenSpan> {
        let subscriber = self.live.as_ref().and_then(|_| self.subscriber.get());
        let mut open = subscriber.map_or_else(Vec::new, |dispatch| gate::open_spans(&dispatch));
        open.sort_by_key(|span| std::cmp::Reverse(span.age));
        open.truncate(max);
        open
    }

    /// Gives an incomplete trace the name and the age of its oldest open span.
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

    fn read<T: Default>(&self, read: impl FnOnce(&mut Store) -> T) -> T {
        let Some(live) = &self.live else {
            return T::default();
        };
        let mut store = live.store();
        store.forget(Instant::now());
        read(&mut store)
    }
}
