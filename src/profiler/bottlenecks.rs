//! Finds bottlenecks in the report of the journal: operations that wait, fail, or call a child too often.
//!
//! The thresholds keep a healthy service quiet: an operation needs a minimum of spans, and a time that a user notices.

use serde::Serialize;

use super::options::PerformanceThresholds;
use crate::journal::{JournalReport, OperationReport, PathTimes};

/// The kind of a bottleneck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BottleneckKind {
    /// Spans wait longer than a threshold, and for most of their time.
    Waiting,
    /// Spans keep a thread longer than a threshold.
    Busy,
    /// Spans fail more often than a threshold.
    Errors,
    /// A span calls the same child again and again.
    RepeatedCalls,
}

/// The severity of a bottleneck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BottleneckSeverity {
    /// The threshold is exceeded by a factor of three.
    Critical,
    /// The threshold is exceeded.
    Warning,
}

/// A bottleneck, with its evidence.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Bottleneck {
    /// The kind.
    pub kind: BottleneckKind,
    /// The severity.
    pub severity: BottleneckSeverity,
    /// The operation: the name of the span, with its model or route.
    pub operation: String,
    /// The measured values, and the threshold.
    pub evidence: String,
    /// A change to try.
    pub suggestion: &'static str,
}

/// The share of its time that an operation must wait to count as waiting.
const MIN_WAITING_SHARE: f64 = 0.5;
/// The factor by which a critical bottleneck exceeds its threshold.
const CRITICAL_FACTOR: f64 = 3.0;

/// Returns the bottlenecks, the most severe first.
pub(super) fn find(
    report: &JournalReport,
    paths: &[PathTimes],
    thresholds: &PerformanceThresholds,
) -> Vec<Bottleneck> {
    let enough = |operation: &&OperationReport| operation.count >= thresholds.min_spans;
    let mut found: Vec<Bottleneck> = Vec::new();
    for operation in report.operations.iter().filter(enough) {
        found.extend(waiting(operation, paths, thresholds));
        found.extend(busy(operation, thresholds));
        found.extend(errors(operation, thresholds));
    }
    found.extend(repeated_calls(paths, thresholds));
    found.sort_by(|a, b| {
        a.severity
            .cmp(&b.severity)
            .then_with(|| a.operation.cmp(&b.operation))
    });
    found
}

/// Finds operations that wait themselves: the waiting of their children is not theirs.
fn waiting(
    operation: &OperationReport,
    paths: &[PathTimes],
    thresholds: &PerformanceThresholds,
) -> Option<Bottleneck> {
    let name = label(operation);
    let own = paths.iter().filter(|path| path.path.last() == Some(&name));
    let (idle_ns, busy_ns, count) = own.fold((0, 0, 0), |(idle, busy, count), path| {
        (idle + path.idle_ns, busy + path.own_ns, count + path.count)
    });
    let mean_seconds = idle_ns as f64 / 1e9 / count.max(1) as f64;
    let share = idle_ns as f64 / (idle_ns + busy_ns).max(1) as f64;
    let limit = thresholds.idle.as_secs_f64();
    (mean_seconds > limit && share >= MIN_WAITING_SHARE).then(|| Bottleneck {
        kind: BottleneckKind::Waiting,
        severity: severity(mean_seconds / limit),
        operation: name,
        evidence: format!(
            "waits for {mean_seconds:.2} s on average (threshold {limit} s), {:.0} % of its time without its children, over {count} spans",
            100.0 * share
        ),
        suggestion: "The span waits for a lock, a permit or a remote server: compare its queue time, add capacity, or set a timeout.",
    })
}

/// Finds operations that keep a thread.
fn busy(operation: &OperationReport, thresholds: &PerformanceThresholds) -> Option<Bottleneck> {
    let limit = thresholds.busy.as_secs_f64();
    let own = operation.own;
    (own.p95_seconds > limit).then(|| Bottleneck {
        kind: BottleneckKind::Busy,
        severity: severity(own.p95_seconds / limit),
        operation: label(operation),
        evidence: format!(
            "keeps a thread for {:.2} s itself at the 95th percentile (threshold {limit} s), over {} spans",
            own.p95_seconds, operation.count
        ),
        suggestion: "A CPU profile of the operation shows the function. If the profile has no samples of it, the span blocks its thread: move the call to spawn_blocking, or use an async one.",
    })
}

fn errors(operation: &OperationReport, thresholds: &PerformanceThresholds) -> Option<Bottleneck> {
    let rate = operation.errors as f64 / operation.count as f64;
    (rate > thresholds.error_rate).then(|| Bottleneck {
        kind: BottleneckKind::Errors,
        severity: severity(rate / thresholds.error_rate),
        operation: label(operation),
        evidence: format!(
            "{} of {} spans failed, {:.1} % (threshold {:.1} %)",
            operation.errors,
            operation.count,
            100.0 * rate,
            100.0 * thresholds.error_rate
        ),
        suggestion: "The failed traces in the live view, and errors_total by error_type, show the cause.",
    })
}

/// Finds children that a span calls at least `repeated_calls` times on average.
fn repeated_calls<'p>(
    paths: &'p [PathTimes],
    thresholds: &PerformanceThresholds,
) -> impl Iterator<Item = Bottleneck> + 'p {
    let limit = thresholds.repeated_calls as f64;
    let min_spans = thresholds.min_spans;
    paths.iter().filter_map(move |child| {
        let (name, around) = child.path.split_last()?;
        let parent = paths.iter().find(|parent| parent.path == around)?;
        let calls = child.count as f64 / parent.count.max(1) as f64;
        let is_repeated = parent.count >= min_spans.min(5) && calls >= limit;
        is_repeated.then(|| Bottleneck {
            kind: BottleneckKind::RepeatedCalls,
            severity: severity(calls / limit),
            operation: around.last().cloned().unwrap_or_default(),
            evidence: format!(
                "calls `{name}` {calls:.1} times per span (threshold {limit}), over {} spans",
                parent.count
            ),
            suggestion: "Read or write all items in one call (a join, IN, a batch), or cache the answer.",
        })
    })
}

fn severity(factor: f64) -> BottleneckSeverity {
    if factor >= CRITICAL_FACTOR {
        BottleneckSeverity::Critical
    } else {
        BottleneckSeverity::Warning
    }
}

fn label(operation: &OperationReport) -> String {
    format!("{} {}", operation.name, operation.detail)
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tracing::info_span;

    use super::*;
    use crate::journal::measured;

    fn found(work: impl FnOnce(&dyn Fn(u64))) -> Vec<(BottleneckKind, String)> {
        let journal = measured(work);
        let thresholds = PerformanceThresholds {
            idle: Duration::from_secs(1),
            ..PerformanceThresholds::default()
        };
        let found = find(&journal.report(), &journal.paths(), &thresholds);
        found
            .into_iter()
            .map(|one| (one.kind, one.operation))
            .collect()
    }

    /// Serves requests whose model waits for `wait_ms`, which call a table `calls` times, and block for `block_ms`.
    fn serve(advance: &dyn Fn(u64), (wait_ms, calls, block_ms): (u64, usize, u64)) {
        for _ in 0..20 {
            let request = info_span!("http_request", route = "/chat");
            let entered = request.enter();
            let inference = info_span!("inference", model_id = "m");
            for _ in 0..calls {
                info_span!("db_query", table = "users").in_scope(|| advance(1));
            }
            info_span!("render").in_scope(|| advance(block_ms));
            drop(entered);
            advance(wait_ms);
            drop(inference);
        }
    }

    #[test]
    fn a_slow_model_repeated_calls_and_a_blocking_call_are_found_and_nothing_else() {
        let all = found(|advance| serve(advance, (4_000, 30, 700)));
        let mut names: Vec<_> = all
            .iter()
            .map(|(kind, operation)| (format!("{kind:?}"), operation.as_str()))
            .collect();
        names.sort();
        let expected = [
            ("Busy", "render"),
            ("RepeatedCalls", "http_request /chat"),
            ("Waiting", "inference m"),
        ];
        assert_eq!(
            names,
            expected.map(|(kind, operation)| (kind.to_owned(), operation))
        );
    }

    #[test]
    fn a_healthy_run_has_no_bottleneck() {
        assert_eq!(found(|advance| serve(advance, (300, 2, 5))), []);
        assert_eq!(found(|_| ()), []);
    }

    #[test]
    fn errors_above_the_threshold_are_found() {
        let failing = |share: u64| {
            found(move |_| {
                for request in 0..100 {
                    let status = if request < share { "error" } else { "success" };
                    drop(info_span!("inference", model_id = "m", status));
                }
            })
        };
        assert_eq!(failing(5), []);
        assert_eq!(
            failing(6),
            [(BottleneckKind::Errors, "inference m".to_owned())]
        );
    }
}
