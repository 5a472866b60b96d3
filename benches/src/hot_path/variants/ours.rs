//! This crate with an annotated inference.

use std::sync::Arc;

use llm_observatory::{
    FacadeSink, MetricsSink, ObservatoryLayer, Registry, RegistryOptions, Sink, SinkOptions,
};
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

use super::metrics_facade::recorder;
use crate::hot_path::workload::{Operation, inference, inference_with_late_label, model_of};

pub(super) fn install() -> Operation {
    install_sink(into_registry());
    Operation::new(|turn| inference(model_of(turn), || ()))
}

pub(super) fn install_with_late_label() -> Operation {
    install_sink(into_registry());
    Operation::new(|turn| inference_with_late_label(model_of(turn)))
}

pub(super) fn install_facade() -> Operation {
    let recorder = recorder();
    let upkeep = recorder.handle();
    install_sink(FacadeSink::new(
        Arc::new(recorder),
        "llm_router_",
        SinkOptions::default(),
    ));
    Operation::new(|turn| inference(model_of(turn), || ())).with_drain(move || upkeep.run_upkeep())
}

/// A sink with every series: the catalog's own, and those of the `GenAI` conventions.
fn into_registry() -> MetricsSink {
    let registry =
        Registry::new(RegistryOptions::default()).expect("there are no buckets to refuse");
    MetricsSink::new(registry, SinkOptions::default())
}

fn install_sink(sink: impl Sink + 'static) {
    tracing_subscriber::registry()
        .with(ObservatoryLayer::new(sink))
        .init();
}
