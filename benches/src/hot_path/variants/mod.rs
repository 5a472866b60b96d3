//! The variants that measure one inference: this crate, a baseline, and peers.
//!
//! Each variant installs itself globally, as in a service, so each runs in its own process.

mod atomics;
mod baseline;
mod metrics_facade;
mod opentelemetry;
mod ours;
#[cfg(feature = "traces")]
mod polls;
mod prometheus_crate;
#[cfg(feature = "traces")]
mod sink;
#[cfg(feature = "traces")]
mod traces;

use super::workload::Operation;

/// A variant.
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    /// Its description, with the number of its series.
    pub(crate) about: &'static str,
    pub(crate) install: fn() -> Operation,
}

/// The variant that the others are compared with.
pub(crate) const BASELINE: &str = "c";
/// The variant that the gates check.
pub(crate) const OURS: &str = "ours";
/// The variant of a foreign recorder that the gates check.
pub(crate) const OURS_INTO_ATOMICS: &str = "ours-atomics";
/// The peer that our time must be below.
pub(crate) const PEER_TO_BEAT: &str = "prometheus";

/// All variants, in the order of the report.
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
        name: OURS_INTO_ATOMICS,
        about: "ObservatoryLayer and FacadeSink into a recorder of plain atomics, 12 series",
        install: atomics::install,
    },
    Variant {
        name: "ours-both",
        about: "ObservatoryBuilder::facade: the registry and a recorder of plain atomics",
        install: atomics::install_both,
    },
    Variant {
        name: PEER_TO_BEAT,
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

/// Variants for spans of traces; empty in a build without traces.
#[cfg(not(feature = "traces"))]
pub(crate) const TRACES: &[Variant] = &[];

/// Variants for spans of traces: ours and tracing-opentelemetry's alternate.
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
        name: "in-tree-tracing-opentelemetry-encoded",
        about: "the same, encoded for OTLP as ours is",
        install: traces::theirs_in_tree_encoded,
    },
    Variant {
        name: "in-tree-live",
        about: "ours, with the live view and no exporter",
        install: traces::live_in_tree,
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

/// Variants for a request of 64 polls inside three nested spans; empty in a build without traces.
#[cfg(not(feature = "traces"))]
pub(crate) const POLLS: &[Variant] = &[];

/// Variants for a request of 64 polls inside three nested spans.
#[cfg(feature = "traces")]
pub(crate) const POLLS: &[Variant] = &[
    Variant {
        name: "polls-metrics",
        about: "metrics alone",
        install: polls::metrics,
    },
    Variant {
        name: "polls-watchdog",
        about: "metrics, and the watchdog",
        install: polls::watchdog,
    },
    Variant {
        name: "polls-out",
        about: "metrics, and traces sampled out",
        install: polls::sampled_out,
    },
    Variant {
        name: "polls-journal",
        about: "metrics, and the journal of spans",
        install: polls::journal,
    },
    Variant {
        name: "polls-live",
        about: "metrics, and the live view of every trace, no exporter",
        install: polls::live,
    },
    Variant {
        name: "polls-in",
        about: "metrics, the live view and OTLP of every trace",
        install: polls::sampled_in,
    },
    Variant {
        name: "polls-out-tracing-opentelemetry",
        about: "no metrics, AlwaysOff",
        install: polls::theirs_out,
    },
    Variant {
        name: "polls-in-tracing-opentelemetry",
        about: "no metrics, AlwaysOn and the SDK's batch processor",
        install: polls::theirs_in,
    },
];

/// Returns the variant with this name.
pub(crate) fn named(name: &str) -> Option<&'static Variant> {
    VARIANTS
        .iter()
        .chain(TRACES)
        .chain(POLLS)
        .find(|variant| variant.name == name)
}
