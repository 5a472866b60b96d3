//! Hand-written `metrics` macros with metrics-exporter-prometheus.

use std::time::Instant;

use metrics::{counter, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};

use super::baseline::install_spans;
use crate::hot_path::workload::{
    COMPLETION_TOKENS, DURATION_BUCKETS, Operation, PROMPT_TOKENS, SPEED_BUCKETS, inference,
    model_of, seconds_since,
};

/// The exporter, with buckets; without buckets it stores every sample.
pub(super) fn recorder() -> PrometheusRecorder {
    PrometheusBuilder::new()
        .set_buckets(&DURATION_BUCKETS)
        .and_then(|builder| {
            builder.set_buckets_for_metric(
                Matcher::Full("tokens_per_second".to_owned()),
                &SPEED_BUCKETS,
            )
        })
        .expect("there are buckets")
        .build_recorder()
}

pub(super) fn install() -> Operation {
    install_spans();
    let recorder = recorder();
    let upkeep = recorder.handle();
    metrics::set_global_recorder(recorder)
        .unwrap_or_else(|_| unreachable!("a process has one recorder"));
    let run = |turn| {
        let model = model_of(turn);
        let start = Instant::now();
        inference(model, || {
            let seconds = seconds_since(start, turn);
            let tokens = PROMPT_TOKENS + COMPLETION_TOKENS;
            counter!("inference_total", "model_id" => model.id, "model_type" => model.kind, "engine" => model.engine, "status" => "success").increment(1);
            histogram!("inference_duration_seconds", "model_id" => model.id, "model_type" => model.kind, "engine" => model.engine, "status" => "success").record(seconds);
            counter!("tokens_total", "model_id" => model.id, "model_type" => model.kind, "engine" => model.engine, "status" => "success").increment(tokens);
            histogram!("tokens_per_second", "model_id" => model.id, "model_type" => model.kind, "engine" => model.engine, "status" => "success").record(tokens as f64 / seconds);
        });
    };
    // The exporter stores each sample of a histogram until it is drained.
    Operation::new(run).with_drain(move || upkeep.run_upkeep())
}
