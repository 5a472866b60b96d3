//! Pushes metrics to rotel over HTTP and gRPC; the last push is complete.

use std::time::Duration;

use llm_observatory::{Compression, Config, Format, Observatory, OtlpConfig, OtlpProtocol};
use tracing::info_span;
use tracing_subscriber::prelude::*;

use crate::{
    process::wait_for,
    traces::{Collector, PATIENCE, rotel},
};

fn push(otlp: OtlpConfig) -> String {
    let config = Config::default()
        .without_server()
        .with_service_name("pushed")
        .with_metrics_push(Duration::from_hours(1), otlp);
    let (layer, observatory) = Observatory::builder(config).build().unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        for _ in 0..7 {
            info_span!("inference", model_id = "gpt-4o", tokens = 3).in_scope(|| ());
        }
    });
    observatory.shutdown_blocking();
    observatory.export_metrics(Format::Prometheus)
}

#[test]
fn a_real_collector_receives_every_kind_of_metric() {
    let Some(rotel) = rotel() else { return };
    for (protocol, compression) in [
        (OtlpProtocol::HttpProtobuf, Compression::None),
        (OtlpProtocol::Grpc, Compression::Gzip),
    ] {
        let collector = Collector::start(&rotel, "metrics");
        let mut otlp = OtlpConfig::default();
        otlp.protocol = protocol;
        otlp.compression = compression;
        otlp.endpoint = Some(match protocol {
            OtlpProtocol::Grpc => format!("http://127.0.0.1:{}", collector.grpc),
            _ => format!("http://127.0.0.1:{}/v1/metrics", collector.http),
        });
        let text = push(otlp);
        let pushed = r#"observatory_metric_pushes_total{result="success"} 1"#;
        assert!(text.contains(pushed), "{protocol:?}: {text}");
        let log = wait_for("the metrics", PATIENCE, || {
            let log = collector.log();
            log.contains("llm_router_tokens_generated_total")
                .then_some(log)
        });
        for text in [
            "pushed",
            "gpt-4o",
            "llm_router_model_inference_duration_seconds",
            "observatory_build_info",
        ] {
            assert!(log.contains(text), "{protocol:?}: {text} is not in {log}");
        }
        // The push contains all 21 tokens.
        let tokens = log
            .split("llm_router_tokens_generated_total")
            .nth(1)
            .unwrap();
        let tokens = tokens.split("Metric #").next().unwrap();
        assert!(tokens.contains("Value: 21"), "{tokens}");
    }
}

#[test]
fn a_missing_collector_is_counted_and_delays_nothing() {
    let mut otlp = OtlpConfig::default();
    otlp.endpoint = Some("http://127.0.0.1:1/v1/metrics".to_owned());
    otlp.timeout = Duration::from_millis(300);
    let start = std::time::Instant::now();
    let text = push(otlp);
    assert!(
        text.contains(r#"observatory_metric_pushes_total{result="failure"} 1"#),
        "{text}"
    );
    assert!(start.elapsed() < Duration::from_secs(5));
}
