//! Asks a real Prometheus and ours the same questions about the same samples.
//!
//! The Debian Prometheus is 2.42, so its left-closed ranges are switched on here. What differs between 2.42 and 3
//! by intention stands in `intended_difference`.

use std::collections::BTreeMap;

use llm_observatory::query::engine::{ApiResponse, Engine, EngineOptions, Range};
use llm_observatory::query::store::SeriesStore;
use serde_json::Value;

use super::dataset::{self, START, STEP, STEPS};
use super::prometheus::Prometheus;
use super::{expressions, generator};

const GENERATED: usize = 6000;
const TOLERANCE: f64 = 1e-9;

#[derive(Default)]
struct Tally {
    agreed: usize,
    both_failed: usize,
    intended: BTreeMap<&'static str, usize>,
    differences: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_equal_those_of_prometheus() {
    let Some(prometheus) = Prometheus::start().await else {
        assert!(std::env::var("CI").is_err(), "prometheus is not installed");
        eprintln!("skipped: prometheus is not installed");
        return;
    };
    prometheus.write(&dataset::dataset()).await;
    let store = dataset::store();
    let engine = Engine::new(EngineOptions::default().with_left_closed_ranges());
    let mut tally = Tally::default();
    let end = START + STEPS * STEP;
    let chosen = expressions::chosen();
    let mut chosen_count = 0;
    for query in &chosen {
        for time in [START + 60 * STEP + 1234, START + 142 * STEP, end] {
            compare(&prometheus, (&engine, &store), (query, time), &mut tally).await;
            chosen_count += 1;
        }
        compare_range(&prometheus, (&engine, &store), query, &mut tally).await;
        chosen_count += 1;
    }
    let mut generator = generator::Generator::new(0x9e37_79b9_7f4a_7c15);
    for at in 0..GENERATED {
        let query = generator.query();
        let time = START + (at as i64 * 7919 % (STEPS + 30)) * STEP + at as i64 % 3 * 500;
        compare(&prometheus, (&engine, &store), (&query, time), &mut tally).await;
        if at % 8 == 0 {
            compare_range(&prometheus, (&engine, &store), &query, &mut tally).await;
        }
    }
    eprintln!(
        "{} chosen expressions in {chosen_count} questions, {GENERATED} generated ones: {} agreed, {} of them on failing; intended differences {:?}; {} others",
        chosen.len(),
        tally.agreed,
        tally.both_failed,
        tally.intended,
        tally.differences.len()
    );
    let shown: Vec<_> = tally.differences.iter().take(40).cloned().collect();
    assert!(shown.is_empty(), "{}", shown.join("\n"));
}

async fn compare(
    prometheus: &Prometheus,
    (engine, store): (&Engine, &SeriesStore),
    (query, time): (&str, i64),
    tally: &mut Tally,
) {
    let seconds = format!("{}.{:03}", time / 1000, time % 1000);
    let theirs = prometheus
        .ask("query", &[("query", query), ("time", &seconds)])
        .await;
    let result = engine.evaluate(store, query, time);
    let ours = serde_json::to_value(ApiResponse::from(&result)).unwrap();
    judge(
        &format!("{query}   @ {seconds}"),
        query,
        (&theirs, &ours),
        tally,
    );
}

/// Prometheus prints the same tree in the same way.
#[tokio::test]
async fn queries_are_printed_as_prometheus_prints_them() {
    let Some(prometheus) = Prometheus::start().await else {
        assert!(std::env::var("CI").is_err(), "prometheus is not installed");
        eprintln!("skipped: prometheus is not installed");
        return;
    };
    let engine = Engine::new(EngineOptions::default());
    let mut generator = generator::Generator::new(4242);
    let generated: Vec<String> = (0..500).map(|_| generator.query()).collect();
    let mut different = Vec::new();
    let mut compared = 0;
    for query in expressions::chosen().iter().chain(&generated) {
        let theirs = prometheus.ask("format_query", &[("query", query)]).await;
        let (Some(theirs), Ok(prepared)) = (theirs["data"].as_str(), engine.prepare(query)) else {
            continue;
        };
        // 2.42 loses these two: the group of an empty `ignoring ()`, which then reads back as another query. We
        // lose a plus that does nothing.
        if query.contains("ignoring () group") || query.starts_with('+') {
            continue;
        }
        compared += 1;
        let ours = prepared.expr().pretty();
        if theirs != ours {
            different.push(format!("theirs {theirs}\nours   {ours}"));
        }
    }
    eprintln!(
        "{compared} compared, {} printed differently",
        different.len()
    );
    assert!(different.is_empty(), "{}", different.join("\n"));
}

async fn compare_range(
    prometheus: &Prometheus,
    (engine, store): (&Engine, &SeriesStore),
    query: &str,
    tally: &mut Tally,
) {
    let range = Range {
        start: START + 10_000,
        end: START + STEPS * STEP + 400_000,
        step: 137_000,
    };
    let seconds = |ms: i64| format!("{}.{:03}", ms / 1000, ms % 1000);
    let (start, end) = (seconds(range.start), seconds(range.end));
    let theirs = prometheus
        .ask(
            "query_range",
            &[
                ("query", query),
                ("start", &start),
                ("end", &end),
                ("step", "137"),
            ],
        )
        .await;
    let result = engine.query_range(store, query, range);
    let ours = serde_json::to_value(ApiResponse::from(&result)).unwrap();
    judge(
        &format!("{query}   over the range"),
        query,
        (&theirs, &ours),
        tally,
    );
}

fn judge(title: &str, query: &str, (theirs, ours): (&Value, &Value), tally: &mut Tally) {
    if let Some(difference) = difference(theirs, ours, TOLERANCE) {
        if let Some(class) = intended_difference(query, theirs, ours) {
            *tally.intended.entry(class).or_default() += 1;
            return;
        }
        tally.differences.push(format!("{title}\n    {difference}"));
        return;
    }
    tally.agreed += 1;
    tally.both_failed += usize::from(theirs["status"] == "error");
}

/// Where Prometheus 3 itself would differ from 2.42.
fn intended_difference(query: &str, theirs: &Value, ours: &Value) -> Option<&'static str> {
    let message = |answer: &Value| answer["error"].as_str().unwrap_or("").to_owned();
    let has = |words: &[&str]| words.iter().any(|word| query.contains(word));
    if has(&["histogram_quantile"]) && message(ours).contains("same labelset") {
        Some("histograms of different names are not mixed")
    } else if has(&["atan2"]) {
        Some("atan2 drops the name")
    } else if message(theirs).contains("unexpected duration")
        || message(theirs).contains("expected duration")
    {
        Some("durations and numbers are one")
    } else if has(&["stddev", "stdvar"])
        && (has(&["nan", "inf"]) || ours.to_string().contains("\"NaN\""))
    {
        Some("stddev and stdvar of one NaN or infinity are NaN")
    } else if has(&["topk", "bottomk"]) && has_same_values(theirs, ours) {
        Some("which of equal values topk and bottomk keep")
    } else if has(&["avg_over_time(huge"]) {
        Some("means are compensated sums divided by the count")
    } else if has(&["stddev", "stdvar"]) && equals_within(theirs, ours, 1e-6) {
        Some("small spreads are compensated sums")
    } else {
        None
    }
}

fn has_same_values(theirs: &Value, ours: &Value) -> bool {
    let values = |answer: &Value| {
        let points = by_series(&answer["data"]).into_values().flatten();
        let mut values: Vec<_> = points
            .map(|(time, value)| (time.to_bits(), value.to_bits()))
            .collect();
        values.sort_unstable();
        values
    };
    values(theirs) == values(ours)
}

fn equals_within(theirs: &Value, ours: &Value, tolerance: f64) -> bool {
    difference(theirs, ours, tolerance).is_none()
}

fn difference(theirs: &Value, ours: &Value, tolerance: f64) -> Option<String> {
    if theirs["status"] != ours["status"] {
        return Some(format!("theirs {} ours {}", short(theirs), short(ours)));
    }
    if theirs["status"] == "error" {
        return None;
    }
    let (theirs, ours) = (&theirs["data"], &ours["data"]);
    if theirs["resultType"] != ours["resultType"] {
        return Some(format!(
            "types: theirs {} ours {}",
            short(theirs),
            short(ours)
        ));
    }
    let (a, b) = (by_series(theirs), by_series(ours));
    for (labels, points) in &a {
        let Some(other) = b.get(labels) else {
            return Some(format!(
                "ours lacks {labels}: theirs {} ours {}",
                short(theirs),
                short(ours)
            ));
        };
        if points.len() != other.len() {
            return Some(format!(
                "{labels}: {} points, ours {}",
                points.len(),
                other.len()
            ));
        }
        for (point, other) in points.iter().zip(other) {
            if !is_close(point.0, other.0, 0.0) || !is_close(point.1, other.1, tolerance) {
                return Some(format!("{labels}: theirs {point:?} ours {other:?}"));
            }
        }
    }
    b.keys()
        .find(|labels| !a.contains_key(*labels))
        .map(|labels| format!("ours has {labels} too"))
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(300).collect()
}

fn is_close(a: f64, b: f64, tolerance: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * a.abs().max(b.abs())
}

fn by_series(data: &Value) -> BTreeMap<String, Vec<(f64, f64)>> {
    let point = |pair: &Value| (pair[0].as_f64().unwrap(), number(&pair[1]));
    let mut all = BTreeMap::new();
    match data["resultType"].as_str().unwrap() {
        "scalar" => {
            all.insert(String::new(), vec![point(&data["result"])]);
        }
        "string" => {
            all.insert(
                data["result"][1].to_string(),
                vec![(data["result"][0].as_f64().unwrap(), 0.0)],
            );
        }
        _ => {
            for series in data["result"].as_array().unwrap() {
                let points = series.get("values").and_then(Value::as_array).cloned();
                let points = points.unwrap_or_else(|| vec![series["value"].clone()]);
                // Equal label sets must not hide each other.
                let key = format!(
                    "{} {}",
                    series["metric"],
                    if all.contains_key(&series["metric"].to_string()) {
                        "again"
                    } else {
                        ""
                    }
                );
                all.insert(key, points.iter().map(point).collect());
            }
        }
    }
    all
}

fn number(value: &Value) -> f64 {
    match value.as_str().unwrap() {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        text => text.parse().unwrap(),
    }
}

#[tokio::test]
#[ignore = "for looking at one query: QUERY=… cargo test --test query show -- --ignored --nocapture"]
async fn show() {
    let query = std::env::var("QUERY").unwrap();
    let prometheus = Prometheus::start().await.unwrap();
    prometheus.write(&dataset::dataset()).await;
    let engine = Engine::new(EngineOptions::default().with_left_closed_ranges());
    let range = Range {
        start: START + 10_000,
        end: START + STEPS * STEP + 400_000,
        step: 137_000,
    };
    let seconds = |ms: i64| format!("{}.{:03}", ms / 1000, ms % 1000);
    let (start, end) = (seconds(range.start), seconds(range.end));
    let theirs = prometheus
        .ask(
            "query_range",
            &[
                ("query", &query),
                ("start", &start),
                ("end", &end),
                ("step", "137"),
            ],
        )
        .await;
    let result = engine.query_range(&dataset::store(), &query, range);
    eprintln!(
        "theirs {theirs}\nours {}",
        serde_json::to_string(&ApiResponse::from(&result)).unwrap()
    );
}
