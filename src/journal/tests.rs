use std::time::Duration;

use tracing::{error, info_span};
use tracing_subscriber::prelude::*;

use super::*;
use crate::{
    ManualClock, MetricsSink, ObservatoryLayer, RedactionConfig, Registry, RegistryOptions,
    SinkOptions,
};

/// Runs `work` with a journal on a manual clock.
pub(crate) fn journal(work: impl FnOnce(&dyn Fn(u64))) -> Arc<Journal> {
    let manual = ManualClock::new();
    let redaction = Redaction::new(&RedactionConfig::default(), None).unwrap();
    let journal = Arc::new(Journal::new(manual.clock(), Arc::new(redaction)));
    let registry = Registry::new(RegistryOptions::default()).unwrap();
    let layer = ObservatoryLayer::new(MetricsSink::new(registry, SinkOptions::default()))
        .with_journal(Some(Arc::clone(&journal)));
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        work(&|milliseconds| manual.advance(Duration::from_millis(milliseconds)));
    });
    journal
}

fn check(journal: &Journal, label: &str, (busy, idle, own): (f64, f64, f64)) {
    let report = journal.report();
    let operation = report
        .operations
        .iter()
        .find(|operation| format!("{} {}", operation.name, operation.detail).trim() == label)
        .unwrap_or_else(|| panic!("{label} in {report:?}"));
    let found = [operation.busy, operation.idle, operation.own].map(|times| times.total_seconds);
    for (found, expected) in found.into_iter().zip([busy, idle, own]) {
        assert!(
            (found - expected).abs() < 1e-6,
            "{label}: {found}, not {expected}"
        );
    }
}

#[test]
fn busy_idle_and_self_time_are_those_of_the_clock() {
    let journal = journal(|advance| {
        let outer = info_span!("http_request", route = "/chat");
        advance(5);
        let entered = outer.enter();
        advance(10);
        let inner = info_span!("inference", model_id = "small");
        inner.in_scope(|| advance(30));
        drop(entered);
        advance(100);
        let entered = outer.enter();
        inner.in_scope(|| advance(20));
        drop(inner);
        advance(7);
        drop(entered);
    });
    check(&journal, "http_request /chat", (0.067, 0.105, 0.017));
    check(&journal, "inference small", (0.05, 0.1, 0.05));
    let paths = journal.paths();
    let times: Vec<_> = paths
        .iter()
        .map(|path| {
            (
                path.path.join(";"),
                path.own_ns / 1_000_000,
                path.idle_ns / 1_000_000,
            )
        })
        .collect();
    let expected = [
        ("http_request /chat".to_owned(), 17, 5),
        ("http_request /chat;inference small".to_owned(), 50, 100),
    ];
    assert_eq!(
        times, expected,
        "the parent waits for its child, and counts only its own wait"
    );
}

#[test]
fn errors_are_counted_by_field_by_event_and_by_panic() {
    let journal = journal(|_| {
        drop(info_span!("by_field", status = "error"));
        info_span!("by_event").in_scope(|| error!("failed"));
        let panicking =
            || info_span!("by_panic").in_scope(|| std::panic::resume_unwind(Box::new(())));
        drop(std::panic::catch_unwind(panicking));
        drop(info_span!("well", status = "success"));
    });
    let report = journal.report();
    let mut errors: Vec<_> = report
        .operations
        .iter()
        .map(|own| (&*own.name, own.errors))
        .collect();
    errors.sort_unstable();
    assert_eq!(
        errors,
        [
            ("by_event", 1),
            ("by_field", 1),
            ("by_panic", 1),
            ("well", 0)
        ]
    );
}

#[test]
fn the_slowest_spans_are_kept_and_further_routes_are_merged() {
    let journal = journal(|advance| {
        for request in 0..600_u64 {
            let span = info_span!("http_request", route = format!("/{request}"));
            span.in_scope(|| advance(1));
        }
        for _ in 0..3 {
            info_span!("same").in_scope(|| advance(2));
        }
    });
    let report = journal.report();
    assert!(
        report.operations.len() <= 514,
        "{}",
        report.operations.len()
    );
    let merged = report
        .operations
        .iter()
        .find(|own| own.detail == "_other")
        .unwrap();
    assert!(merged.count > 80, "{merged:?}");
    assert_eq!(merged.slowest.len(), 5);
    assert_eq!(report.unmeasured, 0);
}

#[test]
fn guards_that_are_dropped_in_another_order_leave_the_stack_empty() {
    let journal = journal(|advance| {
        let (first, second) = (info_span!("first"), info_span!("second"));
        let first_entered = first.enter();
        let second_entered = second.enter();
        advance(1);
        drop(first_entered);
        advance(2);
        drop(second_entered);
        advance(4);
    });
    check(&journal, "first", (0.001, 0.006, 0.0));
    check(&journal, "second", (0.003, 0.004, 0.003));
}
