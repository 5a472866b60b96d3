//! What became of every span: exported, dropped or failed, for each exporter.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::metrics::{
    Registry, catalog,
    registry::{Counter, Histogram, Series},
};

/// Why a span was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DropReason {
    /// More spans waited than there is room for.
    QueueFull,
    /// A trace that was not decided yet had to make room for others.
    TailOverflow,
    /// There was no time left, or nobody to send it.
    Shutdown,
}

/// The counters of one exporter. A span is counted once: `exported + sampled_out + dropped + failed` is how many there
/// were.
pub(super) struct Account {
    /// Spans that ended; the same for every exporter.
    taken: Arc<AtomicU64>,
    /// Those of them that are counted.
    settled: AtomicU64,
    exported: Arc<Series<Counter>>,
    sampled_out: Arc<Series<Counter>>,
    dropped: Arc<Series<Counter>>,
    failed: Arc<Series<Counter>>,
    queue_full: Arc<Series<Counter>>,
    tail_overflow: Arc<Series<Counter>>,
    shutdown: Arc<Series<Counter>>,
    duration: Arc<Series<Histogram>>,
}

impl Account {
    pub(super) fn new(registry: &Registry, exporter: &str) -> Self {
        let result = |result| {
            registry.counter(
                &catalog::SPANS,
                &[("exporter", exporter), ("result", result)],
            )
        };
        let reason = |reason| {
            registry.counter(
                &catalog::DROPPED_SPANS,
                &[("exporter", exporter), ("reason", reason)],
            )
        };
        Self {
            taken: Arc::default(),
            settled: AtomicU64::new(0),
            exported: result("exported"),
            sampled_out: result("sampled_out"),
            dropped: result("dropped"),
            failed: result("failed"),
            queue_full: reason("queue_full"),
            tail_overflow: reason("tail_overflow"),
            shutdown: reason("shutdown"),
            duration: registry.histogram(&catalog::EXPORT_DURATION, &[("exporter", exporter)]),
        }
    }

    /// Counts no more than `taken` spans in all.
    pub(super) fn of(mut self, taken: &Arc<AtomicU64>) -> Self {
        self.taken = Arc::clone(taken);
        self
    }

    /// How many of `spans` are to be counted: no span is twice, whoever comes late.
    fn settle(&self, spans: usize) -> u64 {
        let mut counted = 0;
        let settle = |settled: u64| {
            let open = self.taken.load(Ordering::Acquire).saturating_sub(settled);
            counted = open.min(spans as u64);
            Some(settled + counted)
        };
        // It is never refused.
        let _ = self
            .settled
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, settle);
        counted
    }

    /// Spans of which nobody has said what became of them.
    pub(super) fn left(&self) {
        self.dropped(DropReason::Shutdown, usize::MAX);
    }

    pub(super) fn dropped(&self, reason: DropReason, spans: usize) {
        let spans = self.settle(spans);
        self.dropped.add(spans);
        match reason {
            DropReason::QueueFull => self.queue_full.add(spans),
            DropReason::TailOverflow => self.tail_overflow.add(spans),
            DropReason::Shutdown => self.shutdown.add(spans),
        }
    }

    /// Spans of traces that tail sampling did not keep.
    pub(super) fn sampled_out(&self, spans: usize) {
        self.sampled_out.add(self.settle(spans));
    }

    /// Spans that were not even tried.
    pub(super) fn failed(&self, spans: usize) {
        self.failed.add(self.settle(spans));
    }

    /// A batch of which some were refused, or all.
    pub(super) fn sent(&self, spans: usize, failed: usize, took: Duration) {
        let failed = failed.min(spans);
        self.failed(failed);
        self.exported.add(self.settle(spans - failed));
        self.duration.cell.record(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::RegistryOptions;

    #[test]
    fn a_span_is_counted_once_whoever_comes_late() {
        let registry = Registry::new(RegistryOptions::default()).unwrap();
        let taken = Arc::new(AtomicU64::new(10));
        let account = Account::new(&registry, "otlp").of(&taken);
        account.sent(4, 1, Duration::ZERO);
        account.left();
        // A thread that was held up comes back.
        account.sent(6, 0, Duration::ZERO);
        let counted = [&account.exported, &account.failed, &account.dropped];
        assert_eq!(counted.map(|series| series.cell.value().whole), [3, 1, 6]);
    }
}
