//! Tests queries of the observatory over its own series.
#![cfg(feature = "alerting")]

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant, UNIX_EPOCH},
};

use llm_observatory::{
    Config, ErrorEvent, ManualClock, Observatory,
    query::engine::{Control, Engine, EngineOptions, QueryError, Range, Value},
};
use tracing_subscriber::Registry;

/// An observatory with a manual clock.
fn observed() -> (Observatory, ManualClock) {
    let manual = ManualClock::new();
    let config = Config::default().without_server();
    let builder = Observatory::builder(config).clock(manual.clock());
    let (_, observatory) = builder.build::<Registry>().unwrap();
    (observatory, manual)
}

/// Returns the single value of a query; `None` for an empty result.
fn value(observatory: &Observatory, clock: &ManualClock, query: &str) -> Option<f64> {
    let result = observatory.query(query, clock.clock().wall()).unwrap();
    let Value::Vector(samples) = result.value else {
        panic!("{query} is no vector");
    };
    samples.first().map(|sample| sample.point.value)
}

/// Advances the clock by a tick, and waits for the tick.
fn tick(observatory: &Observatory, clock: &ManualClock) {
    clock.advance(observatory.config().tick);
    let patience = Instant::now() + Duration::from_secs(10);
    while value(
        observatory,
        clock,
        "time() - timestamp(observatory_build_info)",
    ) != Some(0.0)
    {
        assert!(Instant::now() < patience, "no tick came");
        std::thread::yield_now();
    }
}

fn milliseconds(clock: &ManualClock) -> i64 {
    let since = clock.clock().wall().duration_since(UNIX_EPOCH).unwrap();
    since.as_millis() as i64
}

#[test]
fn recorded_values_can_be_queried_after_the_next_tick() {
    let (observatory, clock) = observed();
    tick(&observatory, &clock);
    for _ in 0..6 {
        observatory.record_error(ErrorEvent {
            error_type: "timeout",
            component: "db",
        });
        tick(&observatory, &clock);
    }
    let errors = "llm_router_errors_total{component=\"db\"}";
    assert_eq!(value(&observatory, &clock, errors), Some(6.0));
    // Including the first event, since the series started with a zero.
    let increase = format!("increase({errors}[1m])");
    assert_eq!(value(&observatory, &clock, &increase), Some(6.0));
    let end = milliseconds(&clock);
    let range = Range {
        start: end - 50_000,
        end,
        step: 10_000,
    };
    let Value::Matrix(series) = observatory.query_range(errors, range).unwrap().value else {
        panic!("a range query gives a matrix");
    };
    let values: Vec<f64> = series[0].points.iter().map(|point| point.value).collect();
    assert_eq!(values, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
}

#[test]
fn a_stop_and_a_start_make_no_increase() {
    let (observatory, clock) = observed();
    tick(&observatory, &clock);
    let error = ErrorEvent {
        error_type: "timeout",
        component: "db",
    };
    observatory.record_error(error);
    tick(&observatory, &clock);
    observatory.shutdown_blocking();
    clock.advance(Duration::from_mins(1));
    observatory.start().unwrap();
    tick(&observatory, &clock);
    let resets = "resets(llm_router_errors_total{component=\"db\"}[5m])";
    assert_eq!(value(&observatory, &clock, resets), Some(0.0));
    // A series that starts after the pause has its zero one tick earlier, not before the pause.
    observatory.record_error(ErrorEvent {
        component: "queue",
        ..error
    });
    tick(&observatory, &clock);
    let increase = "increase(llm_router_errors_total{component=\"queue\"}[20s])";
    let increase = value(&observatory, &clock, increase).unwrap();
    assert!(increase >= 1.0, "{increase}");
}

#[test]
fn the_error_of_an_invalid_query_has_a_position() {
    let (observatory, clock) = observed();
    let error = observatory
        .query("sum(rate(a[5m])", clock.clock().wall())
        .unwrap_err();
    assert!(matches!(error, QueryError::Parse(_)), "{error}");
    assert!(error.to_string().contains("1:16"), "{error}");
}

#[test]
fn a_query_ends_at_its_timeout_or_when_it_is_cancelled() {
    let (observatory, clock) = observed();
    tick(&observatory, &clock);
    let engine = Engine::new(EngineOptions::default().with_timeout(Duration::from_millis(20)));
    // A thousand evaluations for each of a thousand steps.
    let endless = engine
        .prepare("sum_over_time(sum({__name__!=\"\"})[1d:10s])")
        .unwrap();
    let start = Instant::now();
    let since = move || start.elapsed();
    let now = milliseconds(&clock);
    let over = Range {
        start: now,
        end: now + 10_000_000,
        step: 1_000,
    };
    let run = |control| {
        let run = engine.run(observatory.series_store(), &endless);
        run.with_control(control).over(over)
    };
    let timed = run(Control {
        clock: Some(&since),
        ..Control::default()
    });
    assert!(
        matches!(timed, Err(QueryError::Timeout { .. })),
        "{timed:?}"
    );
    assert!(start.elapsed() < Duration::from_secs(5));
    let cancel = AtomicBool::new(false);
    cancel.store(true, Ordering::Relaxed);
    let cancelled = run(Control {
        cancel: Some(&cancel),
        ..Control::default()
    });
    assert!(
        matches!(cancelled, Err(QueryError::Canceled)),
        "{cancelled:?}"
    );
}
