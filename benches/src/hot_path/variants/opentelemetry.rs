//! tracing-opentelemetry's `MetricsLayer`: metrics as fields of an event.

use std::time::Instant;

use opentelemetry_sdk::metrics::{ManualReader, SdkMeterProvider};
use tracing::info;
use tracing_opentelemetry::MetricsLayer;
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

use crate::hot_path::workload::{
    COMPLETION_TOKENS, Operation, PROMPT_TOKENS, inference, model_of, seconds_since,
};

pub(super) fn install() -> Operation {
    // Without a reader, nothing would be recorded.
    let provider = SdkMeterProvider::builder()
        .with_reader(ManualReader::default())
        .build();
    tracing_subscriber::registry()
        .with(MetricsLayer::new(provider.clone()))
        .init();
    let keep_alive = move || {
        let _ = &provider;
    };
    let run = |turn| {
        let model = model_of(turn);
        let start = Instant::now();
        inference(model, || {
            let seconds = seconds_since(start, turn);
            let tokens = PROMPT_TOKENS + COMPLETION_TOKENS;
            info!(
                monotonic_counter.inference_total = 1_u64,
                histogram.inference_duration_seconds = seconds,
                monotonic_counter.tokens_total = tokens,
                histogram.tokens_per_second = tokens as f64 / seconds,
                model_id = model.id,
                model_type = model.kind,
                engine = model.engine,
                status = "success",
            );
        });
    };
    Operation::new(run).with_drain(keep_alive)
}
