//! Reads our `OpenMetrics` and our OTLP JSON with strict third-party parsers.

use std::process::Command;

use llm_observatory::Format;

use super::{
    process::{Folder, python_with},
    scrape::observed,
};

const OPEN_METRICS: &str = r#"
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = {family.name: family for family in text_string_to_metric_families(open(sys.argv[1]).read())}
inferences = families["llm_router_model_inference"]
print(inferences.type, sum(sample.value for sample in inferences.samples))
print(sorted({sample.labels["model_id"] for sample in inferences.samples}))
duration = families["llm_router_model_inference_duration_seconds"]
print(duration.unit, {sample.exemplar.labels["trace_id"] for sample in duration.samples if sample.exemplar})
"#;

const OTLP: &str = r#"
import sys
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
request = json_format.Parse(open(sys.argv[1]).read(), ExportMetricsServiceRequest())
metrics = {metric.name: metric for metric in request.resource_metrics[0].scope_metrics[0].metrics}
tokens = metrics["llm_router_tokens_generated_total"].sum
print(tokens.is_monotonic, tokens.aggregation_temporality, sum(point.as_int for point in tokens.data_points))
duration = metrics["llm_router_model_inference_duration_seconds"]
print(duration.unit, {exemplar.trace_id.hex() for point in duration.histogram.data_points for exemplar in point.exemplars})
"#;

/// Returns the script's output for an exposition.
fn read(script: &str, packages: &str, format: Format) -> Option<String> {
    let python = python_with(packages)?;
    let folder = Folder::new(&format!("parsers-{packages}"));
    let file = folder.file("exposition", &observed().export_metrics(format));
    let output = Command::new(python)
        .args(["-c", script])
        .arg(file)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_python_client_reads_our_open_metrics_strictly() {
    if let Some(said) = read(OPEN_METRICS, "prometheus_client", Format::OpenMetrics) {
        let expected = "counter 3\n['a\"b\\\\c\\nd', 'gpt-4o', '模型']\nseconds {'4bf92f3577b34da6a3ce929d0e0e4736'}\n";
        assert_eq!(said, expected);
    }
}

#[test]
fn our_otlp_json_is_the_protocols() {
    if let Some(said) = read(OTLP, "opentelemetry.proto", Format::OpenTelemetry) {
        // The protocol's JSON writes ids as hex, protobuf's parser reads them as base64: they differ, but are present.
        assert!(said.starts_with("True 2 150\ns {'"), "{said}");
    }
}
