//! Sends traces to rotel, a real collector, over HTTP and gRPC.

use std::{
    collections::BTreeMap,
    fs::File,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use llm_observatory::{Compression, Config, Format, Observatory, OtlpProtocol, TracesConfig};
use tracing::{error, info, info_span};
use tracing_subscriber::prelude::*;

use super::process::{Folder, Process, free_port, python_with, skip_unless, wait_for};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Returns the collector's program, which its Python package installs.
pub(crate) fn rotel() -> Option<PathBuf> {
    let python = python_with("rotel")?;
    let find = "import rotel, pathlib; print(next(pathlib.Path(rotel.__file__).parent.rglob('rotel-agent')))";
    let output = Command::new(python).args(["-c", find]).output().unwrap();
    let path = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
    skip_unless(path.exists(), "rotel-agent").then_some(path)
}

/// Parses the spans of the collector's log: the lines below `Span #`, by name.
pub(crate) fn spans(log: &str) -> Vec<BTreeMap<String, String>> {
    let blocks = log.split("\nSpan #").skip(1);
    blocks
        .map(|block| {
            let pairs = block.lines().filter_map(|line| line.split_once(':'));
            let mut span = BTreeMap::new();
            for (name, value) in pairs {
                span.entry(name.trim_start_matches([' ', '-', '>']).trim().to_owned())
                    .or_insert_with(|| value.trim().to_owned());
            }
            span
        })
        .collect()
}

fn work() {
    let root = info_span!(
        "chat gpt-4o",
        otel.kind = "client",
        model_id = "gpt-4o",
        prompt = "a s3cret"
    );
    root.in_scope(|| {
        let inner = info_span!("attempt", number = 1);
        inner.follows_from(&root);
        inner.in_scope(|| {
            info!(tokens = 7, "first_token");
            error!("it broke");
        });
    });
}

#[test]
fn a_real_collector_receives_parents_links_events_status_attributes_and_resource() {
    let Some(rotel) = rotel() else { return };
    for protocol in [OtlpProtocol::HttpProtobuf, OtlpProtocol::Grpc] {
        for compression in [Compression::None, Compression::Gzip] {
            let log = receive(&rotel, protocol, compression);
            let spans = spans(&log);
            let named = |name: &str| {
                let found = spans
                    .iter()
                    .find(|span| span.get("Name").is_some_and(|n| n == name));
                found.unwrap_or_else(|| panic!("no span {name} in {log}"))
            };
            let (root, inner) = (named("chat gpt-4o"), named("attempt"));
            assert_eq!(root["Trace ID"], inner["Trace ID"], "{log}");
            assert_eq!(root["ID"], inner["Parent ID"], "{log}");
            assert_eq!(root["Parent ID"], "", "{log}");
            assert!(root["Kind"].contains("CLIENT"), "{log}");
            assert!(inner["Status code"].contains("ERROR"), "{log}");
            for text in [
                "first_token",
                "it broke",
                "number",
                "[withheld]",
                "model_id",
                "SpanLink",
                "collected",
                "host.test",
            ] {
                assert!(log.contains(text), "{text} is not in {log}");
            }
            assert!(!log.contains("s3cret"));
        }
    }
}

/// A collector that prints the items that it receives.
pub(crate) struct Collector {
    folder: Folder,
    pub(crate) grpc: u16,
    pub(crate) http: u16,
    _process: Process,
}

impl Collector {
    /// Starts a collector that prints this signal: `traces` or `metrics`.
    pub(crate) fn start(rotel: &PathBuf, signal: &str) -> Self {
        let (grpc, http) = (free_port(), free_port());
        let folder = Folder::new(&format!("rotel-{http}"));
        let out = File::create(folder.0.join("log")).unwrap();
        let arguments = [
            "start".to_owned(),
            "--otlp-grpc-endpoint".to_owned(),
            format!("127.0.0.1:{grpc}"),
            "--otlp-http-endpoint".to_owned(),
            format!("127.0.0.1:{http}"),
        ];
        let child = Command::new(rotel)
            .args(arguments)
            .args([
                "--exporter",
                "blackhole",
                "--debug-log",
                signal,
                "--debug-log-verbosity",
                "detailed",
            ])
            .stdout(Stdio::from(out.try_clone().unwrap()))
            .stderr(Stdio::from(out))
            .spawn()
            .unwrap();
        let process = Process(child);
        for port in [grpc, http] {
            wait_for("the collector", PATIENCE, || {
                std::net::TcpStream::connect(("127.0.0.1", port)).ok()
            });
        }
        Self {
            folder,
            grpc,
            http,
            _process: process,
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.0.join("log")).unwrap()
    }
}

/// Returns the collector's output for `work`.
fn receive(rotel: &PathBuf, protocol: OtlpProtocol, compression: Compression) -> String {
    let collector = Collector::start(rotel, "traces");
    let (grpc, http) = (collector.grpc, collector.http);
    let mut traces = TracesConfig::default();
    traces.otlp.protocol = protocol;
    traces.otlp.compression = compression;
    traces.otlp.endpoint = Some(match protocol {
        OtlpProtocol::Grpc => format!("http://127.0.0.1:{grpc}"),
        _ => format!("http://127.0.0.1:{http}/v1/traces"),
    });
    let mut config = Config::default()
        .without_server()
        .with_service_name("collected")
        .with_traces(traces);
    let attribute = ("host.test".to_owned(), "here".to_owned());
    config.service.attributes.extend([attribute]);
    let (layer, observatory) = Observatory::builder(config).build().unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
    observatory.shutdown_blocking();
    let text = observatory.export_metrics(Format::Prometheus);
    let exported = r#"observatory_spans_total{exporter="otlp",result="exported"} 2"#;
    assert!(
        text.contains(exported),
        "{protocol:?} {compression:?}: {text}"
    );
    wait_for("both spans", PATIENCE, || {
        let log = collector.log();
        (spans(&log).len() >= 2).then_some(log)
    })
}
