use std::cell::Cell;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::*;
use crate::Labels;

/// A series and its sample at each minute.
type Shape = (&'static str, fn(i64) -> f64);

fn store(series: &[Shape]) -> SeriesStore {
    let store = SeriesStore::default();
    for (text, value) in series {
        let engine = Engine::default();
        let prepared = engine.prepare(text).unwrap();
        let syntax::ExprKind::Selector(selector) = &prepared.expr().kind else {
            panic!("{text} is no series");
        };
        let labels = Labels::from_pairs(selector.matchers.iter().map(|m| (m.name(), m.value())));
        for minute in 0..=10 {
            store.append(&labels, minute * 60_000, value(minute));
        }
    }
    store
}

fn counter() -> SeriesStore {
    store(&[
        ("a_total{x=\"1\"}", |m| m as f64 * 60.0),
        ("b_total{x=\"1\"}", |m| m as f64),
    ])
}

fn json(result: &Result<QueryResult, QueryError>) -> String {
    serde_json::to_string(&ApiResponse::from(result)).unwrap()
}

fn check(store: &SeriesStore, query: &str, expected: &str) {
    let result = Engine::default().evaluate(store, query, 600_000);
    assert_eq!(json(&result), format!("{{{expected}}}"), "{query}");
}

#[test]
fn ranges_and_lookback_are_open_on_their_left() {
    let store = counter();
    let count = |options: EngineOptions, query: &str| match Engine::new(options)
        .evaluate(&store, query, 600_000)
        .unwrap()
        .value
    {
        Value::Vector(samples) => samples.first().map(|sample| sample.point.value),
        _ => None,
    };
    let query = "count_over_time(a_total[5m])";
    assert_eq!(count(EngineOptions::default(), query), Some(5.0));
    assert_eq!(
        count(EngineOptions::default().with_left_closed_ranges(), query),
        Some(6.0)
    );
    assert_eq!(count(EngineOptions::default(), "a_total offset -5m"), None);
    let closed = EngineOptions::default().with_left_closed_ranges();
    assert_eq!(count(closed, "a_total offset -5m"), Some(600.0));
    let subquery = "count_over_time(a_total[5m:1m])";
    assert_eq!(count(EngineOptions::default(), subquery), Some(5.0));
}

#[test]
fn answers_have_the_shape_of_prometheus() {
    let store = counter();
    check(
        &store,
        "rate(a_total[5m])",
        r#""status":"success","data":{"resultType":"vector","result":[{"metric":{"x":"1"},"value":[600,"1"]}]}"#,
    );
    check(
        &store,
        "1h30m",
        r#""status":"success","data":{"resultType":"scalar","result":[600,"5400"]}"#,
    );
    check(
        &store,
        "a_total[90s]",
        r#""status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"a_total","x":"1"},"values":[[540,"540"],[600,"600"]]}]}"#,
    );
    check(
        &store,
        "\"x\"",
        r#""status":"success","data":{"resultType":"string","result":[600,"x"]}"#,
    );
    check(
        &store,
        "rate({x=\"1\"}[5m])",
        r#""status":"error","errorType":"execution","error":"vector cannot contain metrics with the same labelset""#,
    );
    check(
        &store,
        "a_total +",
        r#""status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:10: parse error: unexpected end of input""#,
    );
}

#[test]
fn doubtful_results_come_with_a_warning() {
    let store = store(&[("gauge", |m| m as f64)]);
    let result = Engine::default()
        .evaluate(&store, "rate(gauge[5m])", 600_000)
        .unwrap();
    assert_eq!(
        result.infos,
        [
            "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"gauge\" (1:6)"
        ]
    );
    let result = Engine::default()
        .evaluate(&store, "quantile(1.5, gauge)", 600_000)
        .unwrap();
    assert_eq!(
        result.warnings,
        ["PromQL warning: quantile value should be between 0 and 1, got 1.5 (1:10)"]
    );
}

#[test]
fn names_dropped_late_can_still_be_grouped_by() {
    let store = counter();
    let engine = Engine::new(EngineOptions::default().with_delayed_name_removal());
    let count = |query: &str| match engine.evaluate(&store, query, 600_000).map(|r| r.value) {
        Ok(Value::Vector(samples)) => Ok(samples.len()),
        other => Err(format!("{other:?}")),
    };
    assert!(count("rate({x=\"1\"}[5m])").is_err());
    assert_eq!(count("sum by (x) (rate({x=\"1\"}[5m]))"), Ok(1));
    assert_eq!(
        count("label_replace(rate({x=\"1\"}[5m]), \"__name__\", \"r_$1\", \"__name__\", \"(.*)\")"),
        Ok(2)
    );
}

#[test]
fn limits_stop_a_query_and_say_which() {
    let store = counter();
    let engine = Engine::new(EngineOptions::default().with_max_samples(8));
    assert_eq!(
        engine.evaluate(&store, "rate(a_total[10m])", 600_000),
        Err(QueryError::TooManySamples { limit: 8 })
    );
    let engine = Engine::new(EngineOptions::default().with_timeout(Duration::from_secs(1)));
    let prepared = engine
        .prepare("count_over_time(vector(1)[20d:1s])")
        .unwrap();
    let now = Cell::new(0);
    let clock = || Duration::from_millis(now.replace(now.get() + 100));
    let control = Control {
        clock: Some(&clock),
        cancel: None,
    };
    let limit = Duration::from_secs(1);
    let run = engine.run(&store, &prepared).with_control(control);
    assert_eq!(run.at(600_000), Err(QueryError::Timeout { limit }));
    let cancel = AtomicBool::new(true);
    let control = Control {
        clock: None,
        cancel: Some(&cancel),
    };
    let run = engine.run(&store, &prepared).with_control(control);
    assert_eq!(run.at(600_000), Err(QueryError::Canceled));
}

#[test]
fn a_prepared_query_sees_series_that_came_later() {
    let store = counter();
    let engine = Engine::default();
    let prepared = engine.prepare("count({__name__=~\".*_total\"})").unwrap();
    let count = || match engine
        .evaluate_prepared(&store, &prepared, 600_000)
        .unwrap()
        .value
    {
        Value::Vector(samples) => samples[0].point.value,
        _ => f64::NAN,
    };
    assert_eq!(count(), 2.0);
    store.append(&Labels::from_pairs([("__name__", "c_total")]), 590_000, 1.0);
    assert_eq!(count(), 3.0);
}

#[test]
fn fractions_and_quantiles_of_classic_histograms_interpolate() {
    let store = store(&[
        ("h_bucket{le=\"1\"}", |_| 10.0),
        ("h_bucket{le=\"2\"}", |_| 30.0),
        ("h_bucket{le=\"+Inf\"}", |_| 40.0),
    ]);
    let value = |query: &str| match Engine::default()
        .evaluate(&store, query, 600_000)
        .unwrap()
        .value
    {
        Value::Vector(samples) => samples[0].point.value,
        _ => f64::NAN,
    };
    assert_eq!(value("histogram_quantile(0.5, h_bucket)"), 1.5);
    assert_eq!(value("histogram_quantile(0.9, h_bucket)"), 2.0);
    assert_eq!(value("histogram_fraction(0, 1.5, h_bucket)"), 0.5);
    assert_eq!(value("histogram_fraction(-Inf, Inf, h_bucket)"), 1.0);
}

#[test]
fn the_deepest_query_that_is_read_fits_a_small_stack() {
    let deep = |open: &str, close: &str, levels: usize| {
        format!("{}a_total{}", open.repeat(levels), close.repeat(levels))
    };
    let queries = [
        deep("(", ")", 126),
        deep("-(", ")", 62),
        deep("abs(", ")", 126),
        deep("sum by (x) (", ")", 126),
        deep("1 + (", ")", 62),
        deep("max_over_time(", "[1m:])", 60),
        vec!["a_total"; 127].join(" + "),
    ];
    for query in queries {
        let run = move || {
            let store = counter();
            let result = Engine::default().evaluate(&store, &query, 600_000);
            assert!(
                !matches!(result, Err(QueryError::Parse(_))),
                "{query}: {result:?}"
            );
        };
        // The stack sizes of threads of tokio and of std.
        let thread = std::thread::Builder::new()
            .stack_size(2 << 20)
            .spawn(run)
            .unwrap();
        thread.join().unwrap();
    }
}
