//! Tests the metrics in a recorder of the application, `metrics-exporter-prometheus`, which is global to a process.
#![expect(clippy::float_cmp, reason = "counts are exact")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{sync::Arc, thread, time::Duration};

use llm_observatory::{Config, FacadeSink, Format, Observatory, ObservatoryLayer, SinkOptions};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use metrics_util::MetricKindMask;
use tracing::info_span;
use tracing_subscriber::prelude::*;

const IDLE_TIMEOUT: Duration = Duration::from_millis(300);

/// Returns the sum of all series of a metric.
fn sum(text: &str, metric: &str) -> f64 {
    let lines = text.lines().filter(|line| {
        let rest = line.strip_prefix(metric);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
    });
    let values = lines.filter_map(|line| line.rsplit_once(' '));
    values.map(|(_, value)| value.parse::<f64>().unwrap()).sum()
}

fn infer(count: usize) {
    for _ in 0..count {
        drop(info_span!(
            "inference",
            model_id = "m",
            tokens = 3,
            status = "success"
        ));
    }
}

/// Everything global is in a single test.
#[test]
fn no_increment_is_lost_before_or_after_the_recorder() {
    // The first inferences precede the recorder.
    let config = Config::default().without_server();
    let (layer, observatory) = Observatory::builder(config).facade().build().unwrap();
    tracing_subscriber::registry().with(layer).init();
    infer(2);
    let recorder = PrometheusBuilder::new().install_recorder().unwrap();
    assert!(recorder.render().is_empty());

    infer(5);
    let text = recorder.render();
    assert_eq!(sum(&text, "llm_router_model_inference_total"), 5.0);
    assert_eq!(sum(&text, "llm_router_tokens_generated_total"), 15.0);
    assert_eq!(sum(&text, "llm_router_active_inferences"), 0.0);
    assert!(
        text.contains("# HELP llm_router_model_inference_total"),
        "{text}"
    );
    // The series for alerts have all of them.
    let own = observatory.export_metrics(Format::Prometheus);
    assert_eq!(sum(&own, "llm_router_model_inference_total"), 7.0);

    // Many threads share the handles.
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| infer(250));
        }
    });
    let text = recorder.render();
    assert_eq!(sum(&text, "llm_router_model_inference_total"), 1005.0);
    assert_eq!(sum(&text, "llm_router_active_inferences"), 0.0);

    // A recorder that is local to a scope gets the metrics of the scope, and the global recorder those after the scope.
    let local = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&local, || infer(1));
    let text = local.handle().render();
    assert_eq!(sum(&text, "llm_router_model_inference_total"), 1.0);
    infer(1);
    let text = recorder.render();
    assert_eq!(sum(&text, "llm_router_model_inference_total"), 1006.0);
    observatory.shutdown_blocking();
}

fn evicting(lifetime: Duration) -> (PrometheusHandle, impl tracing::Subscriber + Send + Sync) {
    let recorder = PrometheusBuilder::new()
        .idle_timeout(MetricKindMask::ALL, Some(IDLE_TIMEOUT))
        .build_recorder();
    let handle = recorder.handle();
    let options = SinkOptions::default().with_handle_lifetime(lifetime);
    let sink = FacadeSink::new(Arc::new(recorder), "llm_router_", options);
    let layer = ObservatoryLayer::new(sink);
    (handle, tracing_subscriber::registry().with(layer))
}

/// Lets the recorder find its series idle.
fn evict(recorder: &PrometheusHandle) {
    recorder.render();
    thread::sleep(IDLE_TIMEOUT + Duration::from_millis(100));
    recorder.render();
}

#[test]
fn a_series_that_the_recorder_has_evicted_is_registered_anew() {
    let (recorder, subscriber) = evicting(IDLE_TIMEOUT / 2);
    tracing::subscriber::with_default(subscriber, || {
        let open = info_span!("inference", model_id = "m");
        infer(3);
        evict(&recorder);
        let text = recorder.render();
        assert!(!text.contains("llm_router_model_inference_total"), "{text}");

        infer(4);
        let text = recorder.render();
        assert_eq!(sum(&text, "llm_router_model_inference_total"), 4.0);
        assert_eq!(sum(&text, "llm_router_tokens_generated_total"), 12.0);
        // The inference that began before the eviction is still in flight.
        assert_eq!(sum(&text, "llm_router_active_inferences"), 1.0);
        drop(open);
        let text = recorder.render();
        assert_eq!(sum(&text, "llm_router_active_inferences"), 0.0);
    });
}

/// The lifetime is the reason: with a longer lifetime, the evicted series stays lost.
#[test]
fn a_lifetime_above_the_idle_timeout_loses_increments() {
    let (recorder, subscriber) = evicting(Duration::from_mins(1));
    tracing::subscriber::with_default(subscriber, || {
        infer(3);
        evict(&recorder);
        infer(4);
        let text = recorder.render();
        assert_eq!(sum(&text, "llm_router_model_inference_total"), 0.0);
    });
}
