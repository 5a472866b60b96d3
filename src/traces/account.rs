//! What became of every span: exported, dropped or failed, for each exporter.

use std::{sync::Arc, time::Duration};

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

    pub(super) fn dropped(&self, reason: DropReason, spans: usize) {
        let spans = spans as u64;
        self.dropped.add(spans);
        match reason {
            DropReason::QueueFull => self.queue_full.add(spans),
            DropReason::TailOverflow => self.tail_overflow.add(spans),
            DropReason::Shutdown => self.shutdown.add(spans),
        }
    }

    /// Spans of traces that tail sampling did not keep.
    pub(super) fn sampled_out(&self, spans: usize) {
        self.sampled_out.add(spans as u64);
    }

    /// A batch of which some were refused, or all.
    pub(super) fn sent(&self, spans: usize, failed: usize, took: Duration) {
        let failed = failed.min(spans);
        self.failed.add(failed as u64);
        self.exported.add((spans - failed) as u64);
        self.duration.cell.record(took.as_secs_f64());
    }
}
