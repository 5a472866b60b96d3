//! Ways to measure one inference: ours, doing nothing, and peers.
//!
//! Each installs itself for the whole process, as a service would, so each runs in a process of its own.

mod baseline;
mod metrics_facade;
mod opentelemetry;
mod ours;
mod prometheus_crate;
#[cfg(feature = "traces")]
mod sink;
#[cfg(feature = "traces")]
mod traces;

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

/// Spans of traces: none in a build without them.
#[cfg(not(feature = "traces"))]
pub(crate) const TRACES: &[Variant] = &[];

/// Spans of traces: ours and tracing-opentelemetry's in turns.
#[cfg(feature = "traces")]
pub(crate) const TRACES: &[Variant] = &[
    Variant {
        name: "out-ours",
        about: "a span that is sampled out",
        install: traces::ours_out,
    },
    Variant {
        name: "out-tracing-opentelemetry",
        about: "the same, AlwaysOff",
        install: traces::theirs_out,
    },
    Variant {
        name: "out-tree-ours",
        about: "ten spans and nine events, sampled out",
        install: traces::ours_out_tree,
    },
    Variant {
        name: "out-tree-tracing-opentelemetry",
        about: "the same, AlwaysOff",
        install: traces::theirs_out_tree,
    },
    Variant {
        name: "in-tree-ours",
        about: "ten spans and nine events, sampled in",
        install: traces::ours_in_tree,
    },
    Variant {
        name: "in-tree-tracing-opentelemetry",
        about: "the same, AlwaysOn and the SDK's batch processor",
        install: traces::theirs_in_tree,
    },
    Variant {
        name: "in-tree-ours-tail",
        about: "ours, with tail sampling",
        install: traces::ours_in_tree_tail,
    },
    Variant {
        name: "inject",
        about: "`traceparent` and `baggage` written",
        install: traces::inject,
    },
    Variant {
        name: "extract",
        about: "`traceparent` and two entries of baggage read",
        install: traces::extract,
    },
];

/// The variant of this name.
pub(crate) fn named(name: &str) -> Option<&'static Variant> {
    VARIANTS
        .iter()
        .chain(TRACES)
        .find(|variant| variant.name == name)
}
