//! Ways to measure one inference: ours, doing nothing, and peers.
//!
//! Each installs itself for the whole process, as a service would, so each runs in a process of its own.

mod baseline;
mod metrics_facade;
mod opentelemetry;
mod ours;
mod prometheus_crate;

use super::workload::Operation;

/// One way.
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    /// What it is, and how many series it feeds.
    pub(crate) about: &'static str,
    pub(crate) install: fn() -> Operation,
}

/// What everything is compared with.
pub(crate) const BASELINE: &str = "c";
/// What the gates are for.
pub(crate) const OURS: &str = "ours";
/// The peer that ours must be faster than.
pub(crate) const RIVAL: &str = "prometheus";

/// All of them, in the order in which they are printed.
pub(crate) const VARIANTS: &[Variant] = &[
    Variant {
        name: BASELINE,
        about: "a do-nothing Layer that keeps one extension",
        install: baseline::install,
    },
    Variant {
        name: OURS,
        about: "ObservatoryLayer and MetricsSink, 12 series",
        install: ours::install,
    },
    Variant {
        name: "ours-late-label",
        about: "the same, gen_ai.response.model recorded late",
        install: ours::install_with_late_label,
    },
    Variant {
        name: "ours-facade",
        about: "ObservatoryLayer and FacadeSink into metrics-exporter-prometheus",
        install: ours::install_facade,
    },
    Variant {
        name: RIVAL,
        about: "prometheus crate by hand, with_label_values, 4 series",
        install: prometheus_crate::install,
    },
    Variant {
        name: "metrics",
        about: "metrics macros by hand into metrics-exporter-prometheus, 4 series",
        install: metrics_facade::install,
    },
    Variant {
        name: "tracing-opentelemetry",
        about: "its MetricsLayer, one event with 4 metrics",
        install: opentelemetry::install,
    },
];

/// The variant of this name.
pub(crate) fn named(name: &str) -> Option<&'static Variant> {
    VARIANTS.iter().find(|variant| variant.name == name)
}
