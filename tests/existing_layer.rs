//! Tests an application whose subscriber has a tracing-opentelemetry layer of its own. Each case is a process of its own,
//! since the message about a conflict goes to standard error.
//!
//! The binary has its own `main`, since it starts itself again as the process of a case.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

use std::{
    env,
    process::{Command, Output},
    sync::{Arc, Mutex},
    time::Duration,
};

use llm_observatory::{Config, Format, Observatory, TraceExporter, TracesConfig};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SdkTracerProvider, Span, SpanData, SpanProcessor},
};
use tracing::{error, info, info_span};
use tracing_subscriber::{Registry, prelude::*};

const CASE: &str = "EXISTING_LAYER_CASE";
const CONFLICT: &str = "another tracing-opentelemetry layer";

fn main() {
    match env::var(CASE) {
        Ok(case) => child(&case),
        Err(_) => parent(),
    }
}

/// Keeps the ended spans of the application's own layer.
#[derive(Clone, Debug, Default)]
struct Ended(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for Ended {
    fn on_start(&self, _: &mut Span, _: &opentelemetry::Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().unwrap().push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn number<const N: usize>(bytes: [u8; N]) -> u128 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// Two requests with a failed inference each.
fn work() {
    for _ in 0..2 {
        let request = info_span!("http_request", otel.kind = "server", route = "/chat");
        request.in_scope(|| {
            let inference = info_span!("inference", model_id = "m");
            inference.in_scope(|| {
                info!("asked");
                error!("failed");
            });
        });
    }
}

fn child(case: &str) {
    let (order, exporter) = case.split_once(' ').unwrap();
    let mut traces = TracesConfig::default();
    traces.exporters.clear();
    if exporter == "otlp" {
        traces.exporters = vec![TraceExporter::Otlp];
        // No receiver: nothing may be sent.
        traces.otlp.endpoint = Some("http://127.0.0.1:9/v1/traces".to_owned());
    }
    let mut config = Config::default()
        .without_server()
        .with_traces(traces)
        .with_sampling_ratio(1.0);
    config.shutdown_timeout = Duration::from_secs(2);
    let ended = Ended::default();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(ended.clone())
        .build();
    let builder = Observatory::builder(config);
    let observatory = if order == "above" {
        let (layer, observatory) = builder.build::<Registry>().unwrap();
        let theirs = tracing_opentelemetry::layer().with_tracer(provider.tracer("theirs"));
        tracing_subscriber::registry()
            .with(layer)
            .with(theirs)
            .init();
        observatory
    } else {
        let theirs = tracing_opentelemetry::layer().with_tracer(provider.tracer("theirs"));
        let (layer, observatory) = builder.build().unwrap();
        tracing_subscriber::registry()
            .with(theirs)
            .with(layer)
            .init();
        observatory
    };
    work();
    let problems = observatory.status().problems.join("\n");
    observatory.shutdown_blocking();
    let theirs = ended.0.lock().unwrap();
    let id = |span: &SpanData| number(span.span_context.span_id().to_bytes());
    let mut their_ids: Vec<_> = theirs
        .iter()
        .map(|span| {
            let trace = number(span.span_context.trace_id().to_bytes());
            (trace, id(span), number(span.parent_span_id.to_bytes()))
        })
        .collect();
    let live = observatory.traces();
    let mut ours: Vec<_> = live
        .recent(9)
        .iter()
        .flat_map(|trace| {
            live.spans(trace.trace_id)
                .into_iter()
                .map(|span| (trace.trace_id, span))
        })
        .map(|(trace, span)| {
            (
                trace,
                u128::from(span.span_id),
                u128::from(span.parent_id.unwrap_or(0)),
            )
        })
        .collect();
    their_ids.sort_unstable();
    ours.sort_unstable();
    let events: usize = theirs.iter().map(|span| span.events.events.len()).sum();
    let text = observatory.export_metrics(Format::Prometheus);
    let exports_none = text
        .contains(r#"observatory_spans_total{exporter="otlp",result="exported"} 0"#)
        || !text.contains(r#"result="exported""#);
    let suppressed = text
        .lines()
        .any(|line| line == "observatory_trace_export_suppressed 1");
    println!(
        "theirs={} events={events} live={} same={} observations={} exported_none={exports_none} suppressed={suppressed} problem={}",
        their_ids.len(),
        ours.len(),
        ours == their_ids,
        observatory.status().observations,
        problems.contains(CONFLICT),
    );
}

fn check(case: &str, expected: &str, lines: usize) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env::current_exe().unwrap())
        .env(CASE, case)
        .env_remove("OTEL_TRACES_EXPORTER")
        .output()
        .unwrap();
    let (out, log) = (
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr),
    );
    assert!(status.success(), "{case}: {log}");
    assert_eq!(out.trim(), expected, "{case}: {log}");
    assert_eq!(log.matches(CONFLICT).count(), lines, "{case}: {log}");
    println!("{case}: {expected}");
}

fn parent() {
    // Two requests, each with an inference and its failure: as many observations with and without the other layer.
    for order in ["above", "below"] {
        check(
            &format!("{order} none"),
            "theirs=4 events=4 live=4 same=true observations=4 exported_none=true suppressed=false problem=false",
            0,
        );
        check(
            &format!("{order} otlp"),
            "theirs=4 events=4 live=0 same=false observations=4 exported_none=true suppressed=true problem=true",
            1,
        );
    }
}
