//! Test support: a registry with the Layer, and assertions on its exposition.

use std::sync::Arc;

use llm_observatory::{
    Clock, Format, ManualClock, Mapping, MetricsSink, ObservatoryLayer, Registry, RegistryOptions,
    SinkOptions,
};
use tracing_subscriber::prelude::*;

/// A registry, a Layer that records in it, and a manual clock.
pub(crate) struct Watched {
    pub(crate) registry: Registry,
    pub(crate) clock: ManualClock,
    mapping: Mapping,
}

pub(crate) fn watched() -> Watched {
    let registry = Registry::new(RegistryOptions::default()).unwrap();
    Watched {
        registry,
        clock: ManualClock::new(),
        mapping: Mapping::default(),
    }
}

impl Watched {
    pub(crate) fn with_mapping(mut self, mapping: Mapping) -> Self {
        self.mapping = mapping;
        self
    }

    /// Returns a Layer that records in the registry.
    pub(crate) fn layer<S>(&self) -> ObservatoryLayer<S> {
        self.layer_with(self.clock.clock())
    }

    pub(crate) fn layer_with<S>(&self, clock: Clock) -> ObservatoryLayer<S> {
        let sink = MetricsSink::new(self.registry.clone(), SinkOptions::default());
        ObservatoryLayer::with_options(Arc::new(sink), self.mapping.clone(), clock)
    }

    /// Runs `work` under a subscriber with the Layer.
    pub(crate) fn run<R>(&self, work: impl FnOnce() -> R) -> R {
        tracing::subscriber::with_default(tracing_subscriber::registry().with(self.layer()), work)
    }

    pub(crate) fn text(&self) -> String {
        self.registry.render(Format::Prometheus)
    }

    /// Returns the value of a series in its text form; 0 if it is absent.
    pub(crate) fn value(&self, series: &str) -> f64 {
        value(&self.text(), series)
    }

    /// Asserts the values of series.
    pub(crate) fn check(&self, expected: &[(&str, f64)]) {
        let text = self.text();
        for (series, expected) in expected {
            let found = value(&text, series);
            assert!(
                (found - expected).abs() < 1e-9,
                "{series} is {found}, not {expected}, in\n{}",
                ours(&text)
            );
        }
    }

    /// Asserts the numbers of inferences by status: success, error, timeout, cancelled, other.
    pub(crate) fn check_outcomes(&self, expected: [u32; 5]) {
        let text = self.text();
        let found = ["success", "error", "timeout", "cancelled", "other"].map(|status| {
            sum(
                &text,
                "llm_router_model_inference_total",
                &format!("status=\"{status}\""),
            ) as u32
        });
        assert_eq!(
            found,
            expected,
            "success, error, timeout, cancelled, other in\n{}",
            ours(&text)
        );
        assert_eq!(
            sum(&text, "llm_router_active_inferences", ""),
            0.0,
            "in flight"
        );
    }
}

/// Returns the value of one series in an exposition; 0 if it is absent.
pub(crate) fn value(text: &str, series: &str) -> f64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |value| {
        value.split(' ').next().unwrap().parse().unwrap()
    })
}

/// Returns the sum over all series of a metric whose labels contain `labels`.
pub(crate) fn sum(text: &str, metric: &str, labels: &str) -> f64 {
    text.lines()
        .filter(|line| {
            line.strip_prefix(metric)
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
                && line.contains(labels)
        })
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

fn ours(text: &str) -> String {
    text.lines()
        .filter(|line| !line.contains("_bucket") && !line.starts_with('#'))
        .collect::<Vec<_>>()
        .join("\n")
}
