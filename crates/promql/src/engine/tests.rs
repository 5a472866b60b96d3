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
        ..Control::default()
    };
    let limit = Duration::from_secs(1);
    let run = engine.run(&store, &prepared).with_control(control);
    assert_eq!(run.at(600_000), Err(QueryError::Timeout { limit }));
    let cancel = AtomicBool::new(true);
    let control = Control {
        cancel: Some(&cancel),
        ..Control::default()
    };
    let run = engine.run(&store, &prepared).with_control(control);
    assert_eq!(run.at(600_000), Err(QueryError::Canceled));
}

#[test]
fn a_run_tells_its_caller_how_many_samples_it_holds_and_ends_when_the_caller_refuses() {
    let store = counter();
    let engine = Engine::new(EngineOptions::default());
    let prepared = engine.prepare("a_total @ end()").unwrap();
    let range = Range {
        start: 600_000,
        end: 600_000 + 10_000,
        step: 1,
    };
    for (limit, is_answered) in [(12_288, true), (8_192, false)] {
        let told = Cell::new(0);
        let held = |samples| {
            told.set(samples);
            let is_within = samples <= limit;
            is_within.then_some(()).ok_or_else(|| "too much".to_owned())
        };
        let control = Control {
            held: Some(&held),
            ..Control::default()
        };
        let run = engine.run(&store, &prepared).with_control(control);
        let refused = || Err(QueryError::OverBudget("too much".to_owned()));
        let result = run.over(range).map(|_| ());
        assert_eq!(result, if is_answered { Ok(()) } else { refused() });
        assert_eq!(told.get(), 12_288, "10,001 samples in steps of 4,096");
    }
}

/// Evaluates a query over the steps of a range, or at the end of a range without steps.
fn run_within(
    store: &SeriesStore,
    (query, range): (&str, Range),
    max_samples: u64,
) -> Result<QueryResult, QueryError> {
    let engine = Engine::new(EngineOptions::default().with_max_samples(max_samples));
    if range.start == range.end {
        return engine.evaluate(store, query, range.end);
    }
    engine.query_range(store, query, range)
}

#[test]
fn the_limit_on_samples_is_the_number_held_at_once() {
    let store = counter();
    let at_the_end = Range {
        start: 600_000,
        end: 600_000,
        step: 1,
    };
    let nine_steps = Range {
        start: 120_000,
        end: 600_000,
        step: 60_000,
    };
    let cases = [
        // The values of an instant selector.
        ("{x=\"1\"}", at_the_end, 2),
        // The samples of a range, which give way to the value.
        ("rate(a_total[10m])", at_the_end, 10),
        ("a_total[10m]", at_the_end, 10),
        // Both selected ranges: the samples of one range and then of the other.
        ("{x=\"1\"}[10m]", at_the_end, 20),
        // The value of the left operand, and the range of the right operand.
        (
            "rate(a_total[10m]) + on (x) rate(b_total[10m])",
            at_the_end,
            11,
        ),
        // The ten samples of the selector for all steps, and a result of each step.
        ("rate(a_total[2m])", nine_steps, 19),
        ("sum(rate(a_total[2m]))", nine_steps, 19),
        // Nine samples of the selector, the values of five steps, and the result.
        ("count_over_time(a_total[5m:1m])", at_the_end, 15),
        // A subquery without samples has eight intervals between its nine steps.
        ("max_over_time(nothing[9m:1m])", at_the_end, 8),
    ];
    for (query, range, peak) in cases {
        let run = |max_samples| run_within(&store, (query, range), max_samples);
        assert!(run(peak).is_ok(), "{query}: {:?}", run(peak));
        let limit = peak - 1;
        assert_eq!(
            run(limit),
            Err(QueryError::TooManySamples { limit }),
            "{query}"
        );
    }
}

#[test]
fn the_error_of_the_limit_on_samples_names_the_option() {
    let engine = Engine::new(EngineOptions::default().with_max_samples(9));
    let error = engine.evaluate(&counter(), "rate(a_total[10m])", 600_000);
    assert_eq!(
        error.unwrap_err().to_string(),
        "query processing would load too many samples into memory in query execution: more than 9 at once, the limit of max_samples"
    );
}

#[test]
fn a_subquery_of_more_steps_than_the_limit_is_refused_before_its_first_step() {
    let limit = EngineOptions::default().max_samples;
    for query in [
        "max_over_time(nothing[1y:1ms])",
        "max_over_time(vector(1)[1y:1ms])",
        "max_over_time(nothing[100y:1ms])",
    ] {
        let result = Engine::default().evaluate(&counter(), query, 600_000);
        assert_eq!(result, Err(QueryError::TooManySamples { limit }), "{query}");
    }
}

#[test]
fn the_length_of_a_query_is_limited_by_an_option() {
    // A regular expression of the values of a variable, as Grafana writes it.
    let values: Vec<String> = (0..300)
        .map(|at| format!("model-with-name-{at:04}"))
        .collect();
    let query = format!("a_total{{x=\"1\",model_id!~\"{}\"}}", values.join("|"));
    assert!(query.len() > 6_300);
    let parse = |options: EngineOptions| Engine::new(options).prepare(&query).map(|_| ());
    let options = EngineOptions::default();
    assert_eq!(parse(options.clone()), Ok(()));
    let exact = options.clone().with_max_query_bytes(query.len());
    assert_eq!(parse(exact), Ok(()));
    let error = parse(options.with_max_query_bytes(query.len() - 1)).unwrap_err();
    let expected = format!(
        "query is {} bytes long, the limit of max_query_bytes is {}",
        query.len(),
        query.len() - 1
    );
    assert_eq!(error.message, expected);
}

/// Two range queries that read more than 50,000,000 samples one after another, divided by `share`, with a limit of
/// 50,000,000 divided by `share`.
fn check_queries_with_many_steps(share: i64) {
    let max_samples = EngineOptions::default().max_samples / share as u64;
    let retention = crate::store::Retention::default().with_bytes(1 << 30);
    let store = SeriesStore::new(retention.with_time(Duration::from_hours(3)));
    let fill = |name: &str, series: i64, seconds: i64| {
        for at in 0..series {
            let (at, model) = (at.to_string(), (at % 10).to_string());
            let labels =
                Labels::from_pairs([("__name__", name), ("at", &at), ("model_id", &model)]);
            for tick in 0..=seconds / 5 {
                store.append(&labels, tick * 5_000, tick as f64);
            }
        }
    };
    let answered = |query: &str, range: Range, series: usize| {
        let steps = (range.end - range.start) / range.step + 1;
        match run_within(&store, (query, range), max_samples).map(|r| r.value) {
            Ok(Value::Matrix(found)) => {
                assert_eq!(found.len(), series, "{query}");
                assert!(found.iter().all(|s| s.points.len() as i64 == steps));
            }
            other => panic!("{query}: {other:?}"),
        }
    };
    // 241 steps of 60 samples of 10,000 series: 144,600,000.
    fill("x_total", 10_000 / share, 1_500);
    let range = Range {
        start: 300_000,
        end: 1_500_000,
        step: 5_000,
    };
    answered("sum by (model_id) (rate(x_total[5m]))", range, 10);
    // 601 steps of 360 samples of 360 series: 77,889,600.
    let buckets = (360 / share).max(1);
    fill("x_bucket", buckets, 2_400);
    let range = Range {
        start: 1_800_000,
        end: 2_400_000,
        step: 1_000,
    };
    answered("rate(x_bucket[30m])", range, buckets as usize);
}

#[test]
fn samples_of_one_step_after_another_do_not_add_up() {
    check_queries_with_many_steps(90);
}

#[test]
#[ignore = "takes a minute without optimization: cargo test --release -- --ignored full_size"]
fn samples_of_one_step_after_another_do_not_add_up_in_full_size() {
    check_queries_with_many_steps(1);
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
