//! What became of every span: exported, dropped or failed, for each exporter.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use serde::Serialize;

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
    exporter: &'static str,
    address: String,
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
    last_failure: Mutex<Option<ExportFailure>>,
}

/// How it went with an exporter so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExporterStatus {
    /// Its name: `otlp`, `jaeger`, `zipkin`, `console`.
    pub exporter: &'static str,
    /// Where it sends, without credentials.
    pub address: String,
    /// Spans that arrived.
    pub exported: u64,
    /// Spans of traces that tail sampling did not keep.
    pub sampled_out: u64,
    /// Spans that it was not given, for want of room or time.
    pub dropped: u64,
    /// Spans that were sent in vain.
    pub failed: u64,
    /// Spans that wait, or are under way.
    pub waiting: u64,
    /// The last time that spans were sent in vain, if there was one.
    pub last_failure: Option<ExportFailure>,
}

/// Why spans were sent in vain, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExportFailure {
    /// Seconds from the Unix epoch to it.
    pub unix_seconds: u64,
    /// What happened.
    pub reason: String,
}

impl Account {
    pub(super) fn new(registry: &Registry, exporter: &'static str, address: String) -> Self {
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
            exporter,
            address,
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
            last_failure: Mutex::default(),
        }
    }

    /// How it went so far.
    pub(super) fn status(&self) -> ExporterStatus {
        let of = |series: &Series<Counter>| series.value().whole;
        // Settled first: what ends meanwhile waits.
        let settled = self.settled.load(Ordering::Acquire);
        ExporterStatus {
            exporter: self.exporter,
            address: self.address.clone(),
            exported: of(&self.exported),
            sampled_out: of(&self.sampled_out),
            dropped: of(&self.dropped),
            failed: of(&self.failed),
            waiting: self.taken.load(Ordering::Acquire).saturating_sub(settled),
            last_failure: self.failure().clone(),
        }
    }

    /// Remembers why spans were sent in vain, and when.
    pub(super) fn failed_last(&self, at: SystemTime, reason: String) {
        let since_epoch = at.duration_since(SystemTime::UNIX_EPOCH);
        *self.failure() = Some(ExportFailure {
            unix_seconds: since_epoch.map_or(0, |since| since.as_secs()),
            reason,
        });
    }

    fn failure(&self) -> MutexGuard<'_, Option<ExportFailure>> {
        self.last_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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
        let account = Account::new(&registry, "otlp", String::new()).of(&taken);
        account.sent(4, 1, Duration::ZERO);
        account.left();
        // A thread that was held up comes back.
        account.sent(6, 0, Duration::ZERO);
        let counted = [&account.exported, &account.failed, &account.dropped];
        assert_eq!(counted.map(|series| series.cell.value().whole), [3, 1, 6]);
    }
}
