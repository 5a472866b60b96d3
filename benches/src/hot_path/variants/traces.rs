//! Spans of sampled and unsampled traces, by this crate and by tracing-opentelemetry alone.

use std::{
    hint::black_box,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use http::HeaderMap;
use llm_observatory::{
    Config, Observatory, OtlpProtocol, Propagator, SpanRecord, TailConfig, TraceExporter,
    TraceSummary, TracesConfig, propagation,
};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_proto::{
    tonic::collector::trace::v1::ExportTraceServiceRequest,
    transform::{
        common::tonic::ResourceAttributesWithSchema,
        trace::tonic::group_spans_by_resource_and_scope,
    },
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter,
    },
};
use prost::Message as _;
use tracing::{info, info_span};
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

use super::sink::Sink;
use crate::hot_path::{
    instructions::PIECE,
    workload::{Operation, model_of},
};

/// An exporter that discards spans.
#[derive(Debug)]
pub(super) struct DiscardExporter;

impl SpanExporter for DiscardExporter {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
}

/// An exporter that encodes spans as our OTLP exporter does, and discards the messages.
#[derive(Debug)]
struct EncodingExporter;

impl SpanExporter for EncodingExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let resource = ResourceAttributesWithSchema::default();
        let request = ExportTraceServiceRequest {
            resource_spans: group_spans_by_resource_and_scope(batch, &resource),
        };
        black_box(request.encode_to_vec());
        Ok(())
    }
}

/// The spans of one piece of turns: one batch, which is exported when the last of them has ended.
const BATCH: usize = 10 * PIECE;

/// Traces whose batch is the spans of a piece.
pub(super) fn batches_of(spans: usize) -> TracesConfig {
    let mut traces = TracesConfig::default();
    traces.batch.queue_size = 4 * spans;
    traces.batch.batch_size = spans;
    traces.batch.delay = Duration::from_hours(1);
    traces
}

/// Exports over OTLP to a collector on this machine; each batch has arrived before the next piece begins.
pub(super) fn install_ours(ratio: f64, mut traces: TracesConfig) -> Box<dyn Fn() + Send + Sync> {
    let sink = Sink::start().expect("a port of this machine's own");
    traces.exporters = vec![TraceExporter::Otlp];
    traces.otlp.endpoint = Some(sink.url.clone());
    traces.otlp.protocol = OtlpProtocol::HttpProtobuf;
    let config = Config::default()
        .with_traces(traces)
        .with_sampling_ratio(ratio);
    let observatory = install(config);
    let pieces = AtomicUsize::new(0);
    Box::new(move || {
        let _ = &observatory;
        if ratio > 0.0 {
            sink.wait_for(pieces.fetch_add(1, Ordering::Relaxed) + 1);
        }
    })
}

/// The live view alone; the traces of a piece are listed before the next piece begins.
pub(super) fn install_live(mut traces: TracesConfig) -> Box<dyn Fn() + Send + Sync> {
    traces.exporters = Vec::new();
    let observatory = install(
        Config::default()
            .with_traces(traces)
            .with_sampling_ratio(1.0),
    );
    let live = observatory.traces();
    let last = Mutex::new(0);
    let is_listed = move |trace: &TraceSummary| {
        let mut last = last.lock().expect("no panic");
        let is_last = |span: &SpanRecord| {
            let turn = span.attributes.iter().find(|(key, _)| key == "turn");
            turn.is_some_and(|(_, turn)| *turn == (PIECE - 1).to_string())
        };
        let is_new = trace.is_complete && trace.trace_id != *last;
        let is_listed = is_new && live.spans(trace.trace_id).iter().any(is_last);
        *last = if is_listed { trace.trace_id } else { *last };
        is_listed
    };
    Box::new(move || {
        while !observatory.traces().recent(1).iter().any(&is_listed) {
            thread::sleep(Duration::from_millis(20));
        }
    })
}

/// Metrics and the watchdog, whose thread runs.
pub(super) fn install_watched() -> Observatory {
    // A single tick of the sampler.
    let mut config = Config::default().with_tick(Duration::from_hours(1));
    config.journal.enabled = false;
    build(config)
}

pub(super) fn install(mut config: Config) -> Observatory {
    config.health.enabled = false;
    // The journal reads the clock at each poll; the other variants measure metrics and traces.
    config.journal.enabled = false;
    build(config)
}

/// Metrics and the journal.
pub(super) fn install_journal() -> Observatory {
    let mut config = Config::default();
    config.health.enabled = false;
    build(config)
}

fn build(mut config: Config) -> Observatory {
    config.prometheus.enabled = false;
    config.query.enabled = false;
    config.alerting.enabled = false;
    let (layer, observatory) = Observatory::builder(config)
        .build()
        .expect("there is nothing to refuse");
    observatory.start().expect("there is nothing to refuse");
    tracing_subscriber::registry().with(layer).init();
    observatory
}

pub(super) fn install_theirs(
    sampler: Sampler,
    exporter: impl SpanExporter + 'static,
    spans: usize,
) -> Box<dyn Fn() + Send + Sync> {
    // As in our variant: a batch is the spans of a piece, and is exported before the next piece begins.
    let batch = BatchConfigBuilder::default()
        .with_max_queue_size(4 * spans)
        .with_max_export_batch_size(spans)
        .with_scheduled_delay(Duration::from_hours(1))
        .build();
    let processor = BatchSpanProcessor::builder(exporter)
        .with_batch_config(batch)
        .build();
    let provider = SdkTracerProvider::builder()
        .with_sampler(sampler)
        .with_span_processor(processor)
        .build();
    tracing_subscriber::registry()
        .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("bench")))
        .init();
    Box::new(move || {
        provider.force_flush().expect("nowhere takes everything");
    })
}

/// A span of no kind that becomes metrics.
fn span(turn: usize) {
    let model = model_of(turn);
    let span = info_span!("step", model = model.id, kind = model.kind, tokens = 480);
    span.in_scope(|| ());
}

/// Ten nested spans, with an event in each except the first.
fn tree(turn: usize) {
    fn below(turn: usize, depth: usize) {
        info_span!("step", turn, depth).in_scope(|| {
            if depth > 0 {
                info!(depth, "inside");
            }
            if depth < 9 {
                below(turn, depth + 1);
            }
        });
    }
    below(turn, 0);
}

pub(super) fn ours_out() -> Operation {
    let keep = install_ours(0.0, batches_of(BATCH));
    Operation::new(span).with_drain(keep)
}

pub(super) fn theirs_out() -> Operation {
    let keep = install_theirs(Sampler::AlwaysOff, DiscardExporter, BATCH);
    Operation::new(span).with_drain(keep)
}

pub(super) fn ours_out_tree() -> Operation {
    let keep = install_ours(0.0, batches_of(BATCH));
    Operation::new(tree).with_drain(keep)
}

pub(super) fn theirs_out_tree() -> Operation {
    let keep = install_theirs(Sampler::AlwaysOff, DiscardExporter, BATCH);
    Operation::new(tree).with_drain(keep)
}

pub(super) fn ours_in_tree() -> Operation {
    let keep = install_ours(1.0, batches_of(BATCH));
    Operation::new(tree).with_drain(keep)
}

pub(super) fn theirs_in_tree() -> Operation {
    let keep = install_theirs(Sampler::AlwaysOn, DiscardExporter, BATCH);
    Operation::new(tree).with_drain(keep)
}

pub(super) fn theirs_in_tree_encoded() -> Operation {
    let keep = install_theirs(Sampler::AlwaysOn, EncodingExporter, BATCH);
    Operation::new(tree).with_drain(keep)
}

pub(super) fn live_in_tree() -> Operation {
    let keep = install_live(batches_of(BATCH));
    Operation::new(tree).with_drain(keep)
}

pub(super) fn ours_in_tree_tail() -> Operation {
    let mut traces = batches_of(BATCH);
    // All spans are exported, so that a piece is a batch here too.
    traces.tail = Some(TailConfig::default().with_ratio(1.0));
    let keep = install_ours(1.0, traces);
    Operation::new(tree).with_drain(keep)
}

/// The propagation of one outgoing request.
pub(super) fn inject() -> Operation {
    let keep = install_ours(1.0, batches_of(BATCH));
    let span = info_span!("http_request", otel.kind = "client");
    span.in_scope(|| ());
    let inject = move |_| {
        let mut headers = HeaderMap::with_capacity(4);
        propagation::inject(&span, &mut headers, &FORMATS);
        assert!(headers.contains_key("traceparent"));
        // Nothing is exported, so there is nothing to wait for.
        let _ = &keep;
    };
    Operation::new(inject)
}

/// The propagation of one incoming request.
pub(super) fn extract() -> Operation {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
        ("baggage", "tenant=acme,tier=gold"),
    ] {
        headers.insert(name, value.parse().expect("a header"));
    }
    let extract = move |_| {
        let remote = propagation::extract(&headers, &FORMATS);
        assert!(remote.is_sampled());
    };
    Operation::new(extract)
}

const FORMATS: [Propagator; 2] = [Propagator::TraceContext, Propagator::Baggage];
