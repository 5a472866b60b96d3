//! Sends log records to rotel over HTTP and gRPC, with the ids of their trace.

use llm_observatory::{Config, Format, Observatory, OtlpConfig, OtlpProtocol, TracesConfig};
use tracing::{error, info, info_span};
use tracing_subscriber::prelude::*;

use crate::{
    process::wait_for,
    traces::{Collector, PATIENCE, rotel},
};

#[test]
fn a_real_collector_receives_log_records_with_severity_fields_and_ids() {
    let Some(rotel) = rotel() else { return };
    for protocol in [OtlpProtocol::HttpProtobuf, OtlpProtocol::Grpc] {
        let collector = Collector::start(&rotel, "logs");
        let mut otlp = OtlpConfig::default();
        otlp.protocol = protocol;
        otlp.endpoint = Some(match protocol {
            OtlpProtocol::Grpc => format!("http://127.0.0.1:{}", collector.grpc),
            _ => format!("http://127.0.0.1:{}/v1/logs", collector.http),
        });
        let mut traces = TracesConfig::default();
        traces.exporters.clear();
        traces.logs.enabled = true;
        traces.logs.otlp = otlp;
        let config = Config::default()
            .without_server()
            .with_service_name("logging")
            .with_traces(traces);
        let (layer, observatory) = Observatory::builder(config).build().unwrap();
        let subscriber = tracing_subscriber::registry()
            .with(layer)
            .with(observatory.log_export_layer());
        tracing::subscriber::with_default(subscriber, || {
            info!(before = true, "outside of any span");
            info_span!("chat").in_scope(|| {
                error!(
                    tokens = 7,
                    share = 0.5,
                    prompt = "a s3cret",
                    "it broke for ann@example.org"
                );
                tracing::debug!("nobody wants this");
            });
        });
        observatory.shutdown_blocking();
        let text = observatory.export_metrics(Format::Prometheus);
        let exported = r#"observatory_log_records_total{result="exported"} 2"#;
        assert!(text.contains(exported), "{protocol:?}: {text}");
        let log = wait_for("both records", PATIENCE, || {
            let log = collector.log();
            log.contains("it broke").then_some(log)
        });
        let trace = format!("{:032x}", observatory.traces().recent(1)[0].trace_id);
        for text in [
            "logging",
            "outside of any span",
            "before",
            "tokens",
            "[withheld]",
            "ERROR",
            &trace,
        ] {
            assert!(log.contains(text), "{protocol:?}: {text} is not in {log}");
        }
        for text in ["s3cret", "ann@", "nobody wants"] {
            assert!(!log.contains(text), "{protocol:?}: {text} is in {log}");
        }
    }
}
