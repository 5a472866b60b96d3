//! Validates exports with Zipkin's schema and Jaeger's Thrift types; tests TLS with a custom authority.

use std::{collections::BTreeMap, time::Duration};

use llm_observatory::{
    Compression, Config, Format, Observatory, OtlpProtocol, Secret, TraceExporter, TracesConfig,
};
use serde_json::{Value, json};
use tracing::{error, info, info_span};
use tracing_subscriber::prelude::*;

use crate::{
    channels_support::{Certificates, python},
    process::{Folder, python_with},
    receiver::{Posted, Receiver},
};

/// Makes a root with a child, repeated events, a link and an error, with almost no duration.
fn work() {
    let root = info_span!(
        "chat gpt-4o",
        otel.kind = "client",
        model_id = "gpt-4o",
        tokens = 7,
        share = 0.5,
        server.address = "API.example.com",
        server.port = 443,
        prompt = "a s3cret"
    );
    root.in_scope(|| {
        let inner = info_span!("attempt", number = 1, streaming = true);
        inner.follows_from(&root);
        inner.in_scope(|| {
            info!(waited = 3, "first_token");
            info!("same");
            info!("same");
            error!("it broke");
        });
    });
    for _ in 0..20 {
        info_span!("nothing").in_scope(|| ());
    }
}

/// Returns the request with the spans of `work`, all of which were accepted.
fn sent(traces: TracesConfig, receiver: &Receiver) -> Posted {
    let name = traces.exporters[0].as_str();
    let mut config = Config::default()
        .without_server()
        .with_service_name("Collected")
        .with_traces(traces);
    let attribute = ("host.test".to_owned(), "here".to_owned());
    config.service.attributes.extend([attribute]);
    let (layer, observatory) = Observatory::builder(config).build().unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
    observatory.shutdown_blocking();
    let text = observatory.export_metrics(Format::Prometheus);
    let exported = format!(r#"observatory_spans_total{{exporter="{name}",result="exported"}} 22"#);
    assert!(text.contains(&exported), "{text}");
    receiver
        .requests
        .recv_timeout(Duration::from_secs(5))
        .unwrap()
}

fn to(exporter: TraceExporter) -> TracesConfig {
    let mut traces = TracesConfig::default();
    traces.exporters = vec![exporter];
    // All of them in one request, at shutdown.
    traces.batch.delay = Duration::from_mins(10);
    traces
}

#[test]
fn spans_for_zipkin_are_complete_and_valid_by_its_schema() {
    let receiver = Receiver::start(None);
    let mut traces = to(TraceExporter::Zipkin);
    traces.zipkin.endpoint = format!("http://127.0.0.1:{}/api/v2/spans", receiver.port);
    let posted = sent(traces, &receiver);
    assert!(
        posted.head.starts_with("POST /api/v2/spans "),
        "{}",
        posted.head
    );
    assert!(posted.head.contains("content-type: application/json"));
    let spans: Vec<Value> = serde_json::from_slice(&posted.body).unwrap();
    assert_eq!(spans.len(), 22);
    let named = |name: &str| spans.iter().find(|span| span["name"] == name).unwrap();
    let (root, inner) = (named("chat gpt-4o"), named("attempt"));
    assert_eq!(root.get("parentId"), None);
    assert_eq!(inner["parentId"], root["id"]);
    assert_eq!(inner["traceId"], root["traceId"]);
    assert_eq!((&root["kind"], inner.get("kind")), (&json!("CLIENT"), None));
    assert_eq!(root["localEndpoint"]["serviceName"], "collected");
    let tags = [
        ("model_id", "gpt-4o"),
        ("tokens", "7"),
        ("share", "0.5"),
        ("prompt", "[withheld]"),
        ("host.test", "here"),
        ("telemetry.sdk.language", "rust"),
        ("otel.scope.name", "llm-observatory"),
        ("otel.scope.version", env!("CARGO_PKG_VERSION")),
    ];
    for (key, value) in tags {
        assert_eq!(root["tags"][key], value, "{root}");
    }
    let called = json!({ "serviceName": "api.example.com", "port": 443 });
    assert_eq!(root["remoteEndpoint"], called);
    assert_eq!(inner.get("remoteEndpoint"), None);
    assert_eq!(inner["tags"]["otel.status_code"], "ERROR");
    assert_eq!(named("nothing").get("annotations"), None);
    let values = inner["annotations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|annotation| annotation["value"].as_str().unwrap());
    let values: Vec<&str> = values.collect();
    let first = values
        .iter()
        .find(|value| value.starts_with(r#""first_token": {"#))
        .unwrap();
    assert!(first.contains(r#""waited":3"#), "{first}");
    assert!(values.iter().any(|value| value.contains("it broke")));
    let Some(python_path) = python_with("yaml, jsonschema") else {
        return;
    };
    let schema = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/payloads/zipkin2-api.yaml"
    );
    let validate = |spans: &[Value]| {
        let input = json!({ "schema": schema, "spans": spans }).to_string();
        python(&python_path, include_str!("validate_zipkin.py"), &input)
    };
    assert_eq!(validate(&spans), json!([]));
    // The validator's possible complaints about the encoder's own fields.
    let mut wrong = spans[..1].to_vec();
    wrong[0]["duration"] = json!(0);
    wrong[0]["parentId"] = json!("");
    assert_eq!(validate(&wrong).as_array().unwrap().len(), 3);
}

#[test]
fn spans_for_jaeger_decode_with_the_types_of_its_client() {
    let Some(python_path) = python_with("jaeger_client, thrift") else {
        return;
    };
    let receiver = Receiver::start(None);
    let mut traces = to(TraceExporter::Jaeger);
    traces.jaeger.endpoint = format!("http://127.0.0.1:{}/api/traces", receiver.port);
    traces.jaeger.user = Some("ann".to_owned());
    traces.jaeger.password = Some(Secret::from("pa:ss"));
    let posted = sent(traces, &receiver);
    assert!(
        posted.head.starts_with("POST /api/traces "),
        "{}",
        posted.head
    );
    // base64 of `ann:pa:ss`.
    assert!(
        posted.head.contains("authorization: Basic YW5uOnBhOnNz"),
        "{}",
        posted.head
    );
    assert!(
        posted
            .head
            .contains("content-type: application/vnd.apache.thrift.binary")
    );
    let input = serde_json::to_string(&posted.body).unwrap();
    let batch = python(&python_path, include_str!("decode_thrift.py"), &input);
    assert_eq!(batch["process"]["serviceName"], "Collected");
    assert_eq!(tags(&batch["process"]["tags"])["host.test"], "here");
    let spans = batch["spans"].as_array().unwrap();
    assert_eq!(spans.len(), 22);
    let named = |name: &str| {
        spans
            .iter()
            .find(|span| span["operationName"] == name)
            .unwrap()
    };
    let (root, inner) = (named("chat gpt-4o"), named("attempt"));
    assert_eq!(root["parentSpanId"], 0);
    assert_eq!(inner["parentSpanId"], root["spanId"]);
    for half in ["traceIdLow", "traceIdHigh"] {
        assert_eq!(inner[half], root[half]);
        assert_eq!(inner["references"][0][half], root[half]);
    }
    assert_eq!(inner["references"][0]["spanId"], root["spanId"]);
    assert_eq!(root["flags"], 1);
    let of_root = tags(&root["tags"]);
    assert_eq!(of_root["span.kind"], "client");
    assert_eq!(
        (&of_root["tokens"], &of_root["share"]),
        (&json!(7), &json!(0.5))
    );
    assert_eq!(of_root["prompt"], "[withheld]");
    assert_eq!(of_root["otel.scope.name"], "llm-observatory");
    assert_eq!(of_root["otel.scope.version"], env!("CARGO_PKG_VERSION"));
    let of_inner = tags(&inner["tags"]);
    assert_eq!(
        (&of_inner["error"], &of_inner["streaming"]),
        (&json!(true), &json!(true))
    );
    let logs = inner["logs"].as_array().unwrap();
    let first = logs
        .iter()
        .map(|log| tags(&log["fields"]))
        .find(|fields| fields["event"] == "first_token");
    assert_eq!(first.unwrap()["waited"], 3);
    assert_eq!(logs.len(), 4);
}

/// Returns Jaeger's tags by their keys, each with its single value.
fn tags(tags: &Value) -> BTreeMap<String, Value> {
    let tag = |tag: &Value| {
        let values = ["vStr", "vLong", "vDouble", "vBool"];
        let value = values.iter().find_map(|name| tag.get(*name)).unwrap();
        (tag["key"].as_str().unwrap().to_owned(), value.clone())
    };
    tags.as_array().unwrap().iter().map(tag).collect()
}

#[test]
fn only_the_authority_that_is_configured_is_trusted() {
    let folder = Folder::new("authority");
    let (ours, other) = (Certificates::new(), Certificates::new());
    let (over_http, over_grpc) = (Receiver::start(Some(&ours)), Receiver::start_grpc(&ours));
    let file =
        |name: &str, certificates: &Certificates| folder.file(name, &certificates.authority_pem);
    for (exporter, protocol) in [
        (TraceExporter::Otlp, OtlpProtocol::HttpProtobuf),
        (TraceExporter::Otlp, OtlpProtocol::Grpc),
        (TraceExporter::Zipkin, OtlpProtocol::HttpProtobuf),
        (TraceExporter::Jaeger, OtlpProtocol::HttpProtobuf),
    ] {
        let (receiver, path) = match protocol {
            OtlpProtocol::Grpc => (&over_grpc, ""),
            _ => (&over_http, "/v1/traces"),
        };
        let url = format!("https://localhost:{}", receiver.port);
        let mut traces = to(exporter);
        traces.otlp.protocol = protocol;
        traces.otlp.compression = Compression::None;
        traces.otlp.endpoint = Some(format!("{url}{path}"));
        traces.zipkin.endpoint = format!("{url}/api/v2/spans");
        traces.jaeger.endpoint = format!("{url}/api/traces");
        let trusting = |path: std::path::PathBuf| {
            let mut traces = traces.clone();
            traces.otlp.certificate = Some(path.clone());
            traces.zipkin.certificate = Some(path.clone());
            traces.jaeger.certificate = Some(path);
            traces
        };
        let posted = sent(trusting(file("ours.pem", &ours)), receiver);
        let name = b"chat gpt-4o";
        assert!(posted.body.windows(name.len()).any(|found| found == name));
        let mut wrong = trusting(file("other.pem", &other));
        wrong.batch.timeout = Duration::from_millis(300);
        fail(wrong);
        assert!(receiver.requests.try_recv().is_err());
    }
}

#[test]
fn a_receiver_that_requires_a_client_certificate_receives_it() {
    let folder = Folder::new("client-certificate");
    let (ours, of_client, other) = (
        Certificates::new(),
        Certificates::new(),
        Certificates::new(),
    );
    let authority = folder.file("authority.pem", &ours.authority_pem);
    let client = |name: &str, certificates: &Certificates| {
        let key = certificates.key.serialize_pem();
        [
            folder.file(&format!("{name}.pem"), &certificates.certificate_pem),
            folder.file(&format!("{name}.key"), &key),
        ]
    };
    let (right, wrong) = (client("right", &of_client), client("wrong", &other));
    let receivers = Receiver::for_clients_of(&of_client, &ours);
    let ways = [
        (OtlpProtocol::HttpProtobuf, "/v1/traces"),
        (OtlpProtocol::Grpc, ""),
    ];
    for (receiver, (protocol, path)) in receivers.iter().zip(ways) {
        let with = |files: Option<&[std::path::PathBuf; 2]>| {
            let mut traces = to(TraceExporter::Otlp);
            traces.otlp.protocol = protocol;
            traces.otlp.endpoint = Some(format!("https://localhost:{}{path}", receiver.port));
            traces.otlp.certificate = Some(authority.clone());
            if let Some([certificate, key]) = files {
                traces.otlp.client_certificate = Some(certificate.clone());
                traces.otlp.client_key = Some(key.clone());
            }
            traces
        };
        for files in [None, Some(&wrong)] {
            let mut traces = with(files);
            traces.batch.timeout = Duration::from_millis(300);
            fail(traces);
            assert!(receiver.requests.try_recv().is_err(), "{protocol:?}");
        }
        let posted = sent(with(Some(&right)), receiver);
        let name = b"chat gpt-4o";
        assert!(posted.body.windows(name.len()).any(|found| found == name));
    }
}

/// Checks that none of the spans of `work` is accepted.
fn fail(traces: TracesConfig) {
    let name = traces.exporters[0].as_str();
    let config = Config::default().without_server().with_traces(traces);
    let (layer, observatory) = Observatory::builder(config).build().unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
    observatory.shutdown_blocking();
    let text = observatory.export_metrics(Format::Prometheus);
    let failed = format!(r#"exporter="{name}",result="failed"}} 22"#);
    assert!(text.contains(&failed), "{text}");
}
