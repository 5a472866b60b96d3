//! Uses the Layer alone, writing to a `metrics` recorder that the application already has: here
//! `metrics-exporter-prometheus`. The observatory's registry, server and threads are not used.
//!
//! `cargo run --example bring_your_own_recorder`
use llm_observatory::{FacadeSink, ObservatoryLayer, SinkOptions, catalog};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tracing_subscriber::{filter::LevelFilter, prelude::*};

const PREFIX: &str = "llm_router_";

#[expect(clippy::print_stdout, reason = "the example prints the exposition")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Without buckets, this recorder renders histograms as summaries.
    let mut builder = PrometheusBuilder::new().with_recommended_naming(true);
    for (name, buckets) in catalog::histograms(PREFIX) {
        builder = builder.set_buckets_for_metric(Matcher::Full(name), buckets)?;
    }
    let exporter = builder.install_recorder()?;

    let sink = FacadeSink::global(PREFIX, SinkOptions::default());
    tracing_subscriber::registry()
        .with(ObservatoryLayer::new(sink))
        .with(LevelFilter::INFO)
        .init();

    for tokens in [12, 340, 56] {
        let fields = tracing::info_span!(
            "inference",
            model_id = "llama-3.1-8b",
            engine = "vllm",
            tokens
        );
        fields.in_scope(|| metrics::counter!("answers").increment(1));
    }
    println!("{}", exporter.render());
    Ok(())
}
