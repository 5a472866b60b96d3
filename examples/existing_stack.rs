//! A service that has a subscriber, a tracer and a `metrics` recorder already, and adds the observatory's Layer.
//!
//! `cargo run --example existing_stack`
use llm_observatory::{Config, Observatory};
use metrics_exporter_prometheus::PrometheusBuilder;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::{EnvFilter, fmt, prelude::*};

#[expect(clippy::print_stdout, reason = "the example prints the exposition")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The stack as it is: a tracer, which exports nowhere in this example, and a recorder.
    let provider = SdkTracerProvider::builder().build();
    let tracer = tracing_opentelemetry::layer().with_tracer(provider.tracer("my-service"));
    let recorder = PrometheusBuilder::new().install_recorder()?;

    // Two lines are added: the observatory, and its Layer in the subscriber. Traces stay with the tracer.
    // `facade` writes the metrics of the spans into the recorder.
    let config = Config::load()?.without_server();
    let (layer, observatory) = Observatory::builder(config).facade().build()?;
    tracing_subscriber::registry()
        .with(layer)
        .with(tracer)
        // The filter of the log is on the log alone: a global filter would hide spans from the observatory.
        .with(fmt::layer().with_filter(EnvFilter::from_default_env()))
        .init();

    let span = tracing::info_span!(
        "inference",
        model_id = "llama-3.1-8b",
        engine = "vllm",
        tokens = 12
    );
    span.in_scope(|| metrics::counter!("answers").increment(1));
    drop(span);

    // The recorder has the metrics of the service and of the spans; the observatory keeps its own series for alerts.
    println!("{}", recorder.render());
    observatory.shutdown_blocking();
    Ok(())
}
