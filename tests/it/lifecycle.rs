//! Tests building, starting and stopping, and two observatories in one process.

use std::time::Duration;

use llm_observatory::{BuildError, Config, Format, ManualClock, Observatory, ObservatoryLayer};
use tracing_subscriber::{Registry, prelude::*};

use super::support::value;

fn config() -> Config {
    Config::default().without_server()
}

fn build(config: Config) -> (ObservatoryLayer<Registry>, Observatory) {
    Observatory::builder(config).build().unwrap()
}

#[test]
fn two_observatories_with_two_registries_live_side_by_side() {
    let (first_layer, first) = build(config());
    let (second_layer, second) = build(config().with_prefix("other_"));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(first_layer), || {
        drop(tracing::info_span!("inference", model_id = "a"));
    });
    tracing::subscriber::with_default(tracing_subscriber::registry().with(second_layer), || {
        drop(tracing::info_span!("inference", model_id = "b"));
    });
    let (first, second) = (
        first.export_metrics(Format::Prometheus),
        second.export_metrics(Format::Prometheus),
    );
    assert_eq!(
        value(
            &first,
            r#"llm_router_model_inference_total{model_id="a",status="success"}"#
        ),
        1.0
    );
    assert_eq!(
        value(
            &second,
            r#"other_model_inference_total{model_id="b",status="success"}"#
        ),
        1.0
    );
    assert!(!first.contains("model_id=\"b\"") && !second.contains("model_id=\"a\""));
}

#[test]
fn an_observatory_that_is_off_records_nothing_and_starts_nothing() {
    let (layer, observatory) = build(config().with_enabled(false));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        drop(tracing::info_span!("inference", model_id = "a"));
    });
    observatory.record_error(llm_observatory::ErrorEvent {
        error_type: "x",
        component: "y",
    });
    let text = observatory.export_metrics(Format::Prometheus);
    assert!(
        !observatory.is_enabled()
            && !text.contains("model_inference_total")
            && !text.contains("errors_total")
    );
    assert!(!observatory.status().components.running);
}

#[cfg(all(
    feature = "alerting",
    feature = "health",
    feature = "otlp",
    feature = "server"
))]
#[test]
fn the_status_names_the_state_of_each_component_and_the_key_that_switches_it() {
    use llm_observatory::ComponentState;

    let (_layer, observatory) = build(config().without_traces());
    let states = |observatory: &Observatory| {
        let states = observatory.status().component_states.into_iter();
        let states = states.map(|component| (component.name, component.state, component.reason));
        states.collect::<Vec<_>>()
    };
    let off = |name, reason: &str| (name, ComponentState::Off, Some(reason.to_owned()));
    let running = |name| (name, ComponentState::Running, None);
    let expected = [
        running("metrics"),
        off("traces", "traces.enabled is false"),
        running("health"),
        running("alerting"),
        off("server", "prometheus.enabled is false"),
    ];
    // The feature of the profiler decides the state of the last component.
    let found = states(&observatory);
    assert_eq!(found[..5], expected);
    assert_eq!(found.len(), 6);
    observatory.shutdown_blocking();
    let health = off("health", "the observatory is not started, or has stopped");
    assert_eq!(states(&observatory)[2], health);
}

#[test]
fn a_bad_configuration_is_an_error_and_nothing_is_started() {
    let built = Observatory::builder(config().with_prefix("a-b")).build::<Registry>();
    assert!(matches!(built, Err(BuildError::Config(_))));
}

#[test]
fn without_auto_start_it_starts_on_request_and_restarts() {
    let (_layer, observatory) = build(
        config()
            .with_auto_start(false)
            .with_tick(Duration::from_millis(100)),
    );
    let ticks = || {
        value(
            &observatory.export_metrics(Format::Prometheus),
            "observatory_collector_tick_duration_seconds_count",
        )
    };
    assert_eq!(ticks(), 0.0);
    for _ in 0..2 {
        let before = ticks();
        observatory.start().unwrap();
        observatory.start().unwrap();
        wait_until(|| ticks() > before);
        observatory.shutdown_blocking();
    }
    let after = ticks();
    std::thread::sleep(Duration::from_millis(250));
    assert_eq!(ticks(), after, "stopped is stopped");
}

#[test]
fn shutdown_works_on_any_executor() {
    let (_layer, observatory) = build(config());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(observatory.shutdown());
    observatory.shutdown_blocking();
}

#[test]
fn a_manual_clock_drives_the_observatorys_own_threads() {
    let manual = ManualClock::new();
    let config = config().with_tick(Duration::from_mins(5));
    let (_layer, observatory) = Observatory::builder(config)
        .clock(manual.clock())
        .build::<Registry>()
        .unwrap();
    let ticks = || {
        value(
            &observatory.export_metrics(Format::Prometheus),
            "observatory_collector_tick_duration_seconds_count",
        )
    };
    wait_until(|| ticks() == 1.0);
    manual.advance(Duration::from_mins(5));
    wait_until(|| ticks() == 2.0);
}

#[test]
fn errors_become_a_rate_at_the_next_tick() {
    let manual = ManualClock::new();
    let (_layer, observatory) = Observatory::builder(config())
        .clock(manual.clock())
        .build::<Registry>()
        .unwrap();
    let _first_look = observatory.export_metrics(Format::Prometheus);
    for _ in 0..30 {
        observatory.record_error(llm_observatory::ErrorEvent {
            error_type: "io",
            component: "disk",
        });
    }
    manual.advance(Duration::from_mins(1));
    let text = observatory.export_metrics(Format::Prometheus);
    assert_eq!(
        value(&text, r#"llm_router_error_rate{component="disk"}"#),
        0.5
    );
}

fn wait_until(mut is_so: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "it did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}
