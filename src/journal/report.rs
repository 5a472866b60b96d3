//! The report of the journal: its operations and its paths.

use std::sync::atomic::Ordering::Relaxed;

use serde::Serialize;

use super::{Journal, operations::Operation, paths::ROOT, quantiles::Quantiles};

/// Busy, idle and self time by operation.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct JournalReport {
    /// The operations, the longest total time first.
    pub operations: Vec<OperationReport>,
    /// Spans that were not measured, because too many spans were open.
    pub unmeasured: u64,
}

/// The spans of a callsite with one model or route.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OperationReport {
    /// Name of the spans.
    pub name: String,
    /// Target of the callsite: its module, unless the code sets another target.
    pub target: String,
    /// The model, the route or another bounded field; empty without such a field, `_other` beyond the limit.
    pub detail: String,
    /// Spans that have closed.
    pub count: u64,
    /// Spans that have failed.
    pub errors: u64,
    /// Time in which a span was entered.
    pub busy: Times,
    /// Time in which a span was open but not entered.
    pub idle: Times,
    /// Time in which a span was the innermost span of a thread.
    #[serde(rename = "self")]
    pub own: Times,
    /// The slowest spans.
    pub slowest: Vec<SlowSpanReport>,
}

/// A sum and quantiles of durations, in seconds. Quantiles are exact within an eighth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Times {
    /// The sum.
    pub total_seconds: f64,
    /// The median.
    pub p50_seconds: f64,
    /// The 95th percentile.
    pub p95_seconds: f64,
    /// The 99th percentile.
    pub p99_seconds: f64,
}

/// A span among the slowest of its operation.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SlowSpanReport {
    /// Time from its creation to its close.
    pub duration_seconds: f64,
    /// Time in which it was entered.
    pub busy_seconds: f64,
    /// Time in which it was the innermost span of a thread.
    pub self_seconds: f64,
    /// True if it failed.
    pub failed: bool,
    /// The operations around it, outermost first, and its own.
    pub path: Vec<String>,
}

/// The times of a path, without those of the paths below it.
pub(crate) struct PathTimes {
    /// Outermost first.
    pub(crate) path: Vec<String>,
    /// Spans that have closed.
    pub(crate) count: u64,
    pub(crate) own_ns: u64,
    pub(crate) idle_ns: u64,
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

impl Times {
    fn new(total_ns: u64, quantiles: &Quantiles) -> Self {
        let quantile = |quantile| seconds(quantiles.value(quantile));
        Self {
            total_seconds: seconds(total_ns),
            p50_seconds: quantile(0.5),
            p95_seconds: quantile(0.95),
            p99_seconds: quantile(0.99),
        }
    }
}

impl Journal {
    pub(crate) fn report(&self) -> JournalReport {
        let operations = self.operations.all();
        let mut operations: Vec<_> = operations
            .iter()
            .map(|operation| self.operation(operation))
            .filter(|operation| operation.count > 0)
            .collect();
        let total = |operation: &OperationReport| {
            operation.busy.total_seconds + operation.idle.total_seconds
        };
        operations.sort_by(|a, b| total(b).total_cmp(&total(a)));
        JournalReport {
            operations,
            unmeasured: self.unmeasured.load(Relaxed),
        }
    }

    fn operation(&self, operation: &Operation) -> OperationReport {
        let slowest = operation.slowest().into_iter().map(|span| SlowSpanReport {
            duration_seconds: seconds(span.duration_ns),
            busy_seconds: seconds(span.busy_ns),
            self_seconds: seconds(span.own_ns),
            failed: span.has_failed,
            path: self.path(span.path),
        });
        OperationReport {
            name: operation.name.to_owned(),
            target: operation.target.to_owned(),
            detail: operation.detail.clone(),
            count: operation.count.load(Relaxed),
            errors: operation.errors.load(Relaxed),
            busy: Times::new(operation.busy_ns.load(Relaxed), &operation.busy),
            idle: Times::new(operation.idle_ns.load(Relaxed), &operation.idle),
            own: Times::new(operation.own_ns.load(Relaxed), &operation.own),
            slowest: slowest.collect(),
        }
    }

    /// Returns the names of a path, outermost first.
    fn path(&self, number: u32) -> Vec<String> {
        let nodes = self.paths.all();
        let mut names = Vec::new();
        let mut at = number;
        while at != ROOT
            && let Some(node) = nodes.get(at as usize)
        {
            let operation = self.operations.get(node.operation);
            names.extend(operation.map(|operation| operation.label()));
            at = node.parent;
        }
        names.reverse();
        names
    }

    /// Returns the times of each path.
    pub(crate) fn paths(&self) -> Vec<PathTimes> {
        let nodes = self.paths.all();
        let times = nodes
            .iter()
            .enumerate()
            .skip(1)
            .map(|(number, node)| PathTimes {
                path: self.path(number as u32),
                count: node.count.load(Relaxed),
                own_ns: node.own_ns.load(Relaxed),
                idle_ns: node.idle_ns.load(Relaxed),
            });
        times.collect()
    }
}
