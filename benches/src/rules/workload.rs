//! Ten thousand series, an hour of their samples, and a thousand rules over them.

use super::prometheus::Series;
use super::random::Random;

/// Samples of each series.
pub(super) const TICKS: usize = 360;
/// Milliseconds from one sample to the next.
const TICK: i64 = 10_000;
/// Milliseconds of an hour.
pub(super) const SPAN: i64 = 3_600_000;

/// An hour of samples that ends at `now`, in milliseconds since the epoch.
pub(super) fn series(now: i64) -> Vec<Series> {
    let mut random = Random(7);
    let mut all: Vec<Series> = label_sets()
        .into_iter()
        .map(|labels| Series {
            labels,
            samples: Vec::with_capacity(TICKS),
        })
        .collect();
    let mut time = now - SPAN + TICK;
    for _ in 0..TICKS {
        for series in &mut all {
            let name = series.labels.iter().find(|label| label.0 == "__name__");
            let is_gauge = name.is_some_and(|name| name.1 == GAUGE);
            let last = series.samples.last().map_or(0.0, |sample| sample.1);
            let value = if is_gauge {
                (random.share() * 5000.0).round() / 10.0
            } else {
                last + random.below(20) as f64
            };
            series.samples.push((time, value));
        }
        time += TICK;
    }
    all
}

const GAUGE: &str = "llm_tokens_per_second";

/// 10,000 series: counters and histograms by model and instance, and gauges that are not round.
pub(super) fn label_sets() -> Vec<Vec<(&'static str, String)>> {
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

pub(super) fn rules() -> Vec<String> {
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
