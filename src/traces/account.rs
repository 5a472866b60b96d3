//! Counts the spans of each exporter: exported, sampled out, dropped or failed.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use serde::Serialize;

use crate::metrics::{
    Registry, catalog,
    registry::{Counter, Histogram, Series},
};
use crate::runtime::lock;

/// The reason for dropping a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DropReason {
    /// The queue was full.
    QueueFull,
    /// The tail sampler evicted the trace before its decision.
    TailOverflow,
    /// The deadline of the shutdown passed, or the exporter had stopped.
    Shutdown,
}

/// The counters of one exporter. Each span is counted once, so `exported + sampled_out + dropped + failed` is the number
/// of spans that have a result.
pub(super) struct Account {
    exporter: &'static str,
    address: String,
    /// Spans that ended; all exporters share the number.
    accepted: Arc<AtomicU64>,
    /// Accepted spans that have a result.
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

/// The status of an exporter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExporterStatus {
    /// The name of the exporter: `otlp`, `jaeger`, `zipkin`, `console`.
    pub exporter: &'static str,
    /// The address of the receiver, without credentials.
    pub address: String,
    /// Spans that the receiver accepted.
    pub exported: u64,
    /// Spans of traces that the tail sampler did not keep.
    pub sampled_out: u64,
    /// Spans that were dropped because a queue was full or the time was over.
    pub dropped: u64,
    /// Spans that could not be exported.
    pub failed: u64,
    /// Spans that wait or are being sent.
    pub waiting: u64,
    /// The last failed export.
    pub last_failure: Option<ExportFailure>,
}

/// The time and the reason of a failed export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ExportFailure {
    /// The time in seconds since the Unix epoch.
    pub unix_seconds: u64,
    /// The reason.
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
            accepted: Arc::default(),
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

    /// The current status.
    pub(super) fn status(&self) -> ExporterStatus {
        let of = |series: &Series<Counter>| series.value().whole;
        // Read before `accepted`: a span that ends meanwhile counts as waiting.
        let settled = self.settled.load(Ordering::Acquire);
        ExporterStatus {
            exporter: self.exporter,
            address: self.address.clone(),
            exported: of(&self.exported),
            sampled_out: of(&self.sampled_out),
            dropped: of(&self.dropped),
            failed: of(&self.failed),
            waiting: self
                .accepted
                .load(Ordering::Acquire)
                .saturating_sub(settled),
            last_failure: self.failure().clone(),
        }
    }

    /// Keeps the time and the reason of a failed export.
    pub(super) fn failed_last(&self, at: SystemTime, reason: String) {
        let since_epoch = at.duration_since(SystemTime::UNIX_EPOCH);
        *self.failure() = Some(ExportFailure {
            unix_seconds: since_epoch.map_or(0, |since| since.as_secs()),
            reason,
        });
    }

    fn failure(&self) -> MutexGuard<'_, Option<ExportFailure>> {
        lock(&self.last_failure)
    }

    /// Limits the sum of the results to `accepted`.
    pub(super) fn of(mut self, accepted: &Arc<AtomicU64>) -> Self {
        self.accepted = Arc::clone(accepted);
        self
    }

    /// Returns the number of `spans` to count. A result that comes after [`Account::drop_rest`] is not counted again.
    fn settle(&self, spans: usize) -> u64 {
        let mut counted = 0;
        let settle = |settled: u64| {
            let open = self
                .accepted
                .load(Ordering::Acquire)
                .saturating_sub(settled);
            counted = open.min(spans as u64);
            Some(settled + counted)
        };
        // Cannot fail: the closure returns a value in every case.
        let _ = self
            .settled
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, settle);
        counted
    }

    /// Counts all spans without a result as dropped.
    pub(super) fn drop_rest(&self) {
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

    /// Counts spans of traces that the tail sampler did not keep.
    pub(super) fn sampled_out(&self, spans: usize) {
        self.sampled_out.add(self.settle(spans));
    }

    /// Counts spans that could not be exported.
    pub(super) fn failed(&self, spans: usize) {
        self.failed.add(self.settle(spans));
    }

    /// Counts a batch, of which `failed` spans were refused.
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
    fn a_span_is_counted_once_even_if_its_result_comes_late() {
        let registry = Registry::new(RegistryOptions::default()).unwrap();
        let accepted = Arc::new(AtomicU64::new(10));
        let account = Account::new(&registry, "otlp", String::new()).of(&accepted);
        account.sent(4, 1, Duration::ZERO);
        account.drop_rest();
        // The result of a thread that was blocked.
        account.sent(6, 0, Duration::ZERO);
        let counted = [&account.exported, &account.failed, &account.dropped];
        assert_eq!(counted.map(|series| series.cell.value().whole), [3, 1, 6]);
    }
}
