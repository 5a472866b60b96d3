//! Compares with a real Prometheus: the same rules and samples give the same alerts, states and `activeAt`.
//!
//! Prometheus evaluates on its own clock. The samples are therefore written before its next evaluation, and its own
//! `ALERTS` series, with their timestamps, give the times and the results of its evaluations. Our rules are then
//! evaluated at exactly these times.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use llm_observatory::alerting::{RuleGroups, RuleOptions, Source, parse_rule_file};
use llm_observatory::query::Labels;
use llm_observatory::query::engine::{Engine, EngineOptions};
use llm_observatory::query::store::SeriesStore;
use serde_json::Value;

use crate::notify_support::program;
use crate::prometheus::{Prometheus, Series};

const RULES: &str = r"
groups:
- name: g
  interval: 1s
  rules:
  - record: job:load:max
    expr: max by (job) (load)
  - alert: AtOnce
    expr: load > 0.5
    labels: {severity: page, twice: '{{ $value }}'}
    annotations: {summary: '{{ $labels.model }} at {{ $value | humanizePercentage }}'}
  - alert: Held
    expr: job:load:max > 0.5
    for: 3s
    annotations: {summary: '{{ $labels.job }}'}
  - alert: Kept
    expr: load > 0.5
    keep_firing_for: 3s
  - alert: Never
    expr: load > 100
";

/// The labels of a series, and its samples by time.
type Matrix = BTreeMap<String, BTreeMap<i64, f64>>;

fn matrix(answer: &Value) -> Matrix {
    let series = answer["data"]["result"].as_array().unwrap();
    let one = |series: &Value| {
        let labels: BTreeMap<String, String> =
            serde_json::from_value(series["metric"].clone()).unwrap();
        let values = series["values"].as_array().unwrap().iter().map(|pair| {
            let at = (pair[0].as_f64().unwrap() * 1000.0).round() as i64;
            (at, pair[1].as_str().unwrap().parse().unwrap())
        });
        (Labels::from_pairs(labels).to_string(), values.collect())
    };
    series.iter().map(one).collect()
}

/// Returns the pending and firing alerts, without the fields that only one of the two has.
fn alerts(answer: &Value) -> BTreeSet<String> {
    let alerts = answer.as_array().unwrap().iter();
    let line = |alert: &Value| {
        format!(
            "{} {} {} {} {}",
            alert["labels"],
            alert["annotations"],
            alert["state"],
            alert["activeAt"],
            alert["value"]
        )
    };
    alerts.map(line).collect()
}

#[tokio::test]
async fn the_same_rules_and_samples_give_the_same_alerts() {
    if program("prometheus").is_none() {
        return;
    }
    let prometheus = Prometheus::start_with_rules(Some(RULES)).await.unwrap();
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_millis() as i64
    };
    // Prometheus writes `ALERTS` only after its third evaluation, since it restores state first.
    tokio::time::sleep(Duration::from_secs(4)).await;
    // Seconds after the start, and the values of the two models at that time.
    let plan = [
        (0, 0.9, 0.1),
        (5, 0.9, 0.8),
        (8, 0.1, 0.8),
        (11, 0.9, 0.1),
        (13, 0.1, 0.1),
    ];
    let start = now();
    let mut written = Vec::new();
    for (second, x, y) in plan {
        let at = start + second * 1000;
        tokio::time::sleep(Duration::from_millis((at - now()).max(0) as u64)).await;
        // Between two evaluations, so that none of them sees half of the samples.
        let samples = [("router", "x", at, x), ("router", "y", at, y)];
        let series = samples.map(|(job, model, at, value)| {
            let labels = [("__name__", "load"), ("job", job), ("model", model)];
            Series {
                labels: labels
                    .map(|(name, value)| (name, value.to_owned()))
                    .to_vec(),
                samples: vec![(at, value)],
            }
        });
        prometheus.write(&series).await;
        written.push((now(), samples));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let theirs = prometheus
        .get("query?query={__name__=~%22ALERTS.*|job:load:max%22}[1h]")
        .await;
    let theirs = matrix(&theirs);
    let listed = prometheus.get("alerts").await;
    let times: BTreeSet<i64> = theirs
        .values()
        .flat_map(|samples| samples.keys().copied())
        .collect();
    assert!(times.len() > 10, "{times:?}");

    let engine = Engine::new(EngineOptions::default().with_left_closed_ranges());
    let store = SeriesStore::default();
    let options = RuleOptions::default();
    let mut rules = RuleGroups::new(options);
    let groups = parse_rule_file("rules.yml", RULES).unwrap();
    rules
        .load("rules.yml", groups, &Source::new(&engine, &store), start)
        .unwrap();
    let mut written = written.into_iter().peekable();
    let mut ours = Matrix::new();
    for &at in &times {
        while let Some((_, samples)) = written.next_if(|(when, _)| *when <= at) {
            for (job, model, at, value) in samples {
                let labels = [("__name__", "load"), ("job", job), ("model", model)];
                store.append(&Labels::from_pairs(labels), at, value);
            }
        }
        let evaluation = rules.evaluate_all(&Source::new(&engine, &store), at);
        assert_eq!(evaluation.failures, []);
        let written = engine
            .evaluate(&store, "{__name__=~\"ALERTS.*|job:load:max\"}", at)
            .unwrap();
        let answer = serde_json::to_value(&written.value).unwrap();
        for sample in answer["result"].as_array().unwrap() {
            let labels: BTreeMap<String, String> =
                serde_json::from_value(sample["metric"].clone()).unwrap();
            let value = sample["value"][1].as_str().unwrap().parse().unwrap();
            ours.entry(Labels::from_pairs(labels).to_string())
                .or_default()
                .insert(at, value);
        }
    }
    assert_eq!(ours, theirs);
    assert!(
        ours.keys()
            .any(|labels| labels.contains("Held") && labels.contains("firing")),
        "{ours:?}"
    );
    // Prometheus's `activeAt` has nanoseconds; the slot of a group has milliseconds here.
    let strip = |lines: BTreeSet<String>| -> BTreeSet<String> {
        lines.into_iter().map(|line| cut_fraction(&line)).collect()
    };
    let theirs_listed = strip(alerts(&listed["data"]["alerts"]));
    let ours_listed = strip(alerts(&serde_json::to_value(rules.alerts()).unwrap()));
    assert_eq!(ours_listed, theirs_listed);
}

/// `…:05.123456789Z` → `…:05.123Z`, and `…:05.540001Z` → `…:05.54Z`, as a time of milliseconds is written.
fn cut_fraction(line: &str) -> String {
    let mut parts = line.split('.');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (fraction, rest) = part.split_at(digits);
        if !rest.starts_with('Z') {
            // Not a time.
            out.push('.');
            out.push_str(part);
            continue;
        }
        let fraction = fraction[..digits.min(3)].trim_end_matches('0');
        if !fraction.is_empty() {
            out.push('.');
            out.push_str(fraction);
        }
        out.push_str(rest);
    }
    out
}
