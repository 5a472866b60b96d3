//! Tests the Layer beside filtered layers.

use tracing::{info_span, level_filters::LevelFilter};
use tracing_subscriber::{EnvFilter, Layer as _, prelude::*};

use super::support::watched;

const SPANS: u32 = 1_000;

/// tokio-rs/tracing#2519: with another `Interest` than `sometimes`, half of the spans were lost.
#[test]
fn no_span_is_lost_beside_a_filtered_layer_and_log_enabled() {
    // Records of `log` go through tracing; other tests are not affected.
    let _ = tracing_log::LogTracer::init();
    for ours_first in [true, false] {
        let watched = watched();
        macro_rules! fmt {
            () => {
                tracing_subscriber::fmt::layer()
                    .with_writer(std::io::sink)
                    .with_filter(LevelFilter::INFO)
            };
        }
        let work = || {
            for turn in 0..SPANS {
                // Asks every layer, and leaves the answers in the state of the filters.
                let _ = log::log_enabled!(log::Level::Debug);
                tracing::trace!(turn, "not for the log");
                drop(info_span!("inference", model_id = "gpt-4o"));
                drop(tracing::debug_span!("inference", model_id = "gpt-4o"));
            }
        };
        if ours_first {
            tracing::subscriber::with_default(
                tracing_subscriber::registry()
                    .with(watched.layer())
                    .with(fmt!()),
                work,
            );
        } else {
            tracing::subscriber::with_default(
                tracing_subscriber::registry()
                    .with(fmt!())
                    .with(watched.layer()),
                work,
            );
        }
        watched.check_outcomes([2 * SPANS, 0, 0, 0, 0]);
    }
}

#[test]
fn a_quiet_log_costs_no_metric() {
    let watched = watched();
    let quiet = tracing_subscriber::fmt::layer()
        .with_writer(std::io::sink)
        .with_filter(EnvFilter::new("error"));
    let subscriber = tracing_subscriber::registry()
        .with(watched.layer())
        .with(quiet)
        .with(LevelFilter::INFO);
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..SPANS {
            drop(info_span!("inference", model_id = "gpt-4o"));
        }
    });
    watched.check_outcomes([SPANS, 0, 0, 0, 0]);
}

#[test]
fn a_layer_that_is_off_does_nothing_and_leaves_others_alone() {
    let watched = watched();
    let subscriber = tracing_subscriber::registry()
        .with(watched.layer())
        .with(llm_observatory::ObservatoryLayer::off());
    tracing::subscriber::with_default(subscriber, || {
        drop(info_span!("inference", model_id = "gpt-4o"));
    });
    watched.check_outcomes([1, 0, 0, 0, 0]);
}
