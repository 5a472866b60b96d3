//! This crate with a `metrics` recorder that costs as little as a recorder can: an atomic number for each series.

use std::sync::{Arc, atomic::AtomicU64};

use llm_observatory::{Config, FacadeSink, Observatory, ObservatoryLayer, SinkOptions};
use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

use crate::hot_path::workload::{Operation, inference, model_of};

/// Registers a new number for each handle. (A recorder of size zero is taken for the no-op recorder.)
struct Atomics {
    _size: u8,
}

/// The last recorded value.
struct Last(AtomicU64);

impl HistogramFn for Last {
    fn record(&self, value: f64) {
        self.0
            .store(value.to_bits(), std::sync::atomic::Ordering::Relaxed);
    }
}

impl Recorder for Atomics {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(AtomicU64::new(0)))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::new(AtomicU64::new(0)))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Last(AtomicU64::new(0))))
    }
}

pub(super) fn install() -> Operation {
    install_recorder();
    let sink = FacadeSink::global("llm_router_", SinkOptions::default());
    tracing_subscriber::registry()
        .with(ObservatoryLayer::new(sink))
        .init();
    Operation::new(|turn| inference(model_of(turn), || ()))
}

pub(super) fn install_both() -> Operation {
    install_recorder();
    let mut config = Config::default().without_server().without_traces();
    config.auto_start = false;
    let (layer, observatory) = Observatory::builder(config)
        .facade()
        .build()
        .expect("the configuration is valid");
    tracing_subscriber::registry().with(layer).init();
    Operation::new(move |turn| {
        let _ = &observatory;
        inference(model_of(turn), || ());
    })
}

fn install_recorder() {
    metrics::set_global_recorder(Atomics { _size: 0 })
        .unwrap_or_else(|_| unreachable!("a process has one recorder"));
}
