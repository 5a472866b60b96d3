//! Spans of traces that are kept and of traces that are not: ours, and tracing-opentelemetry by itself.

use llm_observatory::{Config, Observatory, TracesConfig};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Sampler, SdkTracerProvider, SpanData, SpanExporter},
};
use tracing::{info, info_span};
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

use crate::hot_path::workload::{Operation, model_of};

/// Takes spans, and does nothing with them.
#[derive(Debug)]
struct Nowhere;

impl SpanExporter for Nowhere {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
}

/// Everything but exporters, so that what is measured is the way to them.
fn install_ours(ratio: f64) -> Box<dyn Fn() + Send + Sync> {
    let mut traces = TracesConfig::default();
    traces.exporters.clear();
    let mut config = Config::default()
        .with_traces(traces)
        .with_sampling_ratio(ratio);
    config.prometheus.enabled = false;
    config.health.enabled = false;
    config.query.enabled = false;
    let (layer, observatory) = Observatory::builder(config)
        .build()
        .expect("there is nothing to refuse");
    tracing_subscriber::registry().with(layer).init();
    Box::new(move || {
        let _ = &observatory;
    })
}

fn install_theirs(sampler: Sampler) -> Box<dyn Fn() + Send + Sync> {
    let provider = SdkTracerProvider::builder()
        .with_sampler(sampler)
        .with_batch_exporter(Nowhere)
        .build();
    tracing_subscriber::registry()
        .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("bench")))
        .init();
    Box::new(move || {
        let _ = &provider;
    })
}

/// A span that is none of the kinds that become metrics.
fn span(turn: usize) {
    let model = model_of(turn);
    let span = info_span!("step", model = model.id, kind = model.kind, tokens = 480);
    span.in_scope(|| ());
}

/// Ten spans in each other, with an event in each but the first.
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
    let keep = install_ours(0.0);
    Operation::new(span).with_drain(keep)
}

pub(super) fn theirs_out() -> Operation {
    let keep = install_theirs(Sampler::AlwaysOff);
    Operation::new(span).with_drain(keep)
}

pub(super) fn ours_out_tree() -> Operation {
    let keep = install_ours(0.0);
    Operation::new(tree).with_drain(keep)
}

pub(super) fn theirs_out_tree() -> Operation {
    let keep = install_theirs(Sampler::AlwaysOff);
    Operation::new(tree).with_drain(keep)
}

pub(super) fn ours_in_tree() -> Operation {
    let keep = install_ours(1.0);
    Operation::new(tree).with_drain(keep)
}

pub(super) fn theirs_in_tree() -> Operation {
    let keep = install_theirs(Sampler::AlwaysOn);
    Operation::new(tree).with_drain(keep)
}
