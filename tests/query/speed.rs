//! What a tick, a sample and a round of rules cost, beside a real Prometheus on the same data:
//!
//! ```text
//! cargo test --release --test query speed -- --ignored --nocapture
//! ```

use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};

use llm_observatory::query::Labels;
use llm_observatory::query::engine::{Engine, Prepared};
use llm_observatory::query::store::{SeriesId, SeriesStore};

use super::dataset::{Random, Series};
use super::prometheus::Prometheus;

const TICKS: i64 = 360;
const TICK: i64 = 10_000;

/// 10,000 series: counters and histograms by model and instance, and gauges that are not round.
fn label_sets() -> Vec<Vec<(&'static str, String)>> {
    let mut all = Vec::new();
    for model in 0..100 {
        for instance in 0..5 {
            let set = |name: &str, label: &'static str, value: &str| {
                let mut labels = vec![
                    ("__name__", name.to_owned()),
                    ("model", format!("model-{model}")),
                    ("instance", format!("router-{instance}:9090")),
                    (label, value.to_owned()),
                ];
                labels.sort();
                labels
            };
            for status in ["ok", "error", "timeout", "cancelled"] {
                all.push(set("llm_requests_total", "status", status));
            }
            for le in [
                "0.005", "0.01", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "30.0",
                "+Inf",
            ] {
                all.push(set("llm_duration_seconds_bucket", "le", le));
            }
            for kind in ["prompt", "completion", "cached", "reasoning"] {
                all.push(set("llm_tokens_per_second", "kind", kind));
            }
        }
    }
    all
}

fn rules() -> Vec<String> {
    let mut rules = Vec::new();
    for model in 0..100 {
        let m = format!("model=\"model-{model}\"");
        let window = ["1m", "2m", "5m", "10m"][model % 4];
        let status = ["ok", "error", "timeout", "cancelled"][model % 4];
        rules.extend([
            format!("sum(rate(llm_requests_total{{{m}}}[5m]))"),
            format!("sum(rate(llm_requests_total{{{m},status=\"error\"}}[5m])) / sum(rate(llm_requests_total{{{m}}}[5m])) > 0.05"),
            format!("histogram_quantile(0.95, sum by (le) (rate(llm_duration_seconds_bucket{{{m}}}[5m])))"),
            format!("histogram_quantile(0.99, sum by (le, instance) (rate(llm_duration_seconds_bucket{{{m}}}[{window}])))"),
            format!("sum by (instance) (increase(llm_requests_total{{{m}}}[1h]))"),
            format!("avg by (kind) (llm_tokens_per_second{{{m}}})"),
            format!("max_over_time(llm_tokens_per_second{{{m}}}[10m])"),
            format!("sum by (model) (rate(llm_requests_total{{status=\"{status}\"}}[{window}]))"),
            format!("topk(5, sum by (model) (rate(llm_requests_total[{window}])))"),
            format!("sum by (status) (rate(llm_requests_total{{model=~\"model-{}.*\"}}[{window}]))", model % 10),
        ]);
    }
    rules
}

fn next_value(name: &str, last: f64, random: &mut Random) -> f64 {
    if name == "llm_tokens_per_second" {
        (random.share() * 5000.0).round() / 10.0
    } else {
        last + random.below(20) as f64
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test]
#[ignore = "a measurement: cargo test --release --test query speed -- --ignored --nocapture"]
async fn speed_of_rules_ticks_and_samples() {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_millis() as i64;
    let sets = label_sets();
    let store = SeriesStore::default();
    let ids: Vec<SeriesId> = sets
        .iter()
        .map(|set| {
            store.register(&Labels::from_pairs(
                set.iter().map(|(n, v)| (*n, v.as_str())),
            ))
        })
        .collect();
    let mut random = Random(7);
    let mut values = vec![0.0; sets.len()];
    let names: Vec<String> = sets
        .iter()
        .map(|set| set.iter().find(|l| l.0 == "__name__").unwrap().1.clone())
        .collect();
    let mut all: Vec<Series> = sets
        .iter()
        .map(|set| Series {
            labels: set.clone(),
            samples: Vec::new(),
        })
        .collect();
    let mut ticks = Vec::new();
    for tick in 0..TICKS {
        let time = now - (TICKS - 1 - tick) * TICK;
        for (at, value) in values.iter_mut().enumerate() {
            *value = next_value(&names[at], *value, &mut random);
            all[at].samples.push((time, *value));
        }
        let samples: Vec<_> = ids.iter().copied().zip(values.iter().copied()).collect();
        let start = Instant::now();
        assert_eq!(store.append_tick(time, &samples), ids.len());
        ticks.push(start.elapsed());
    }
    let stats = store.stats();
    let mut by_time: Vec<_> = ticks.iter().copied().enumerate().collect();
    by_time.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
    by_time.truncate(4);
    eprintln!(
        "a tick over {} series: median {:?}, slowest (number, time) {by_time:?}",
        ids.len(),
        median(ticks)
    );
    eprintln!(
        "{} samples in {:.1} MiB: {:.2} bytes a sample, labels and index included; resident {:?}",
        stats.samples,
        stats.bytes as f64 / f64::from(1 << 20),
        stats.bytes as f64 / stats.samples as f64,
        std::fs::read_to_string("/proc/self/status")
            .ok()
            .and_then(|s| s
                .lines()
                .find(|l| l.starts_with("VmRSS"))
                .map(str::to_owned)),
    );

    let engine = Engine::default();
    let rules = rules();
    let prepared: Vec<Prepared> = rules
        .iter()
        .map(|rule| engine.prepare(rule).unwrap())
        .collect();
    let mut rounds = Vec::new();
    for round in 0..11 {
        let start = Instant::now();
        for rule in &prepared {
            engine.evaluate_prepared(&store, rule, now + round).unwrap();
        }
        rounds.push(start.elapsed());
    }
    eprintln!(
        "{} rules, one round: first {:?}, median {:?}",
        rules.len(),
        rounds[0],
        median(rounds.clone())
    );

    let mut yaml = "groups:\n- name: all\n  rules:\n".to_owned();
    for (at, rule) in rules.iter().enumerate() {
        let rule = rule.replace('\'', "''");
        writeln!(
            yaml,
            "  - record: round:result\n    labels: {{rule: \"{at}\"}}\n    expr: '{rule}'"
        )
        .unwrap();
    }
    let Some(prometheus) = Prometheus::start_with_rules(Some(&yaml)).await else {
        eprintln!("prometheus is not installed: nothing to compare with");
        return;
    };
    for part in 0..36 {
        let slice: Vec<Series> = all
            .iter()
            .map(|series| Series {
                labels: series.labels.clone(),
                samples: series.samples[part * 10..part * 10 + 10].to_vec(),
            })
            .collect();
        prometheus.write(&slice).await;
    }
    let mut theirs = Vec::new();
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_secs(10)).await;
        if let Some(seconds) = prometheus
            .own_metric("prometheus_rule_group_last_duration_seconds")
            .await
        {
            theirs.push(seconds);
        }
    }
    eprintln!("Prometheus, the same rules: {theirs:?} s a round (the first ones had no data yet)");
}
