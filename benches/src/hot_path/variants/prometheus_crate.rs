//! Hand-written use of the `prometheus` crate, which looks each series up by its labels on every use.

use std::time::Instant;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts};

use super::baseline::install_spans;
use crate::hot_path::workload::{
    COMPLETION_TOKENS, DURATION_BUCKETS, Operation, PROMPT_TOKENS, SPEED_BUCKETS, inference,
    model_of, seconds_since,
};

const LABELS: [&str; 4] = ["model_id", "model_type", "engine", "status"];

fn counters(name: &str) -> IntCounterVec {
    IntCounterVec::new(Opts::new(name, "help"), &LABELS).expect("the name is valid")
}

fn histograms(name: &str, buckets: &[f64]) -> HistogramVec {
    let options = HistogramOpts::new(name, "help").buckets(buckets.to_vec());
    HistogramVec::new(options, &LABELS).expect("the name is valid")
}

pub(super) fn install() -> Operation {
    install_spans();
    let inferences = counters("inference_total");
    let durations = histograms("inference_duration_seconds", &DURATION_BUCKETS);
    let all_tokens = counters("tokens_total");
    let speeds = histograms("tokens_per_second", &SPEED_BUCKETS);
    Operation::new(move |turn| {
        let model = model_of(turn);
        let start = Instant::now();
        inference(model, || {
            let seconds = seconds_since(start, turn);
            let tokens = PROMPT_TOKENS + COMPLETION_TOKENS;
            let labels = &[model.id, model.kind, model.engine, "success"];
            inferences.with_label_values(labels).inc();
            durations.with_label_values(labels).observe(seconds);
            all_tokens.with_label_values(labels).inc_by(tokens);
            speeds
                .with_label_values(labels)
                .observe(tokens as f64 / seconds);
        });
    })
}
