//! Follows canaries, which are texts with secrets, through series, traces, alerts and notifications.

use llm_observatory::{
    FacadeSink, Format, Inference, MetricsSink, Model, ObservatoryLayer, Registry, RegistryOptions,
    Sink, SinkOptions,
};
use metrics::{Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::PrometheusBuilder;
use tracing::{info, info_span};
use tracing_subscriber::prelude::*;

use super::{
    canaries::{CANARIES, Canary},
    support::{sum, watched},
};

static METADATA: Metadata<'_> = Metadata::new("redaction", Level::INFO, None);

/// Returns the canaries that are masked in labels: keys and tokens, not addresses and numbers of cards.
fn keys() -> Vec<Canary> {
    let keys = CANARIES
        .iter()
        .filter(|(name, _)| !name.starts_with("e-mail") && *name != "card");
    keys.map(|(_, template)| Canary::new(template)).collect()
}

fn check_no_leak<'c>(what: &str, canaries: impl IntoIterator<Item = &'c Canary>, shown: &str) {
    for canary in canaries {
        if let Some(secret) = canary.leak(shown) {
            let at = shown.find(&secret[..12.min(secret.len())]).unwrap_or(0);
            let start = shown.floor_char_boundary(at.saturating_sub(200));
            let around: String = shown[start..].chars().take(500).collect();
            panic!("{what} shows {secret} of {:?}: …{around}…", canary.text);
        }
    }
}

/// Records a text as a label: by spans and events of a Layer, by a sink, and by a recorder.
fn record(text: &str, sink: &dyn Sink, recorder: &dyn Recorder) {
    drop(info_span!("inference", model_id = "m", error.r#type = text));
    drop(info_span!("cache", operation = "get", cache_type = text));
    info!(monotonic_counter.calls = 1, upstream = text);
    info!(histogram.call_seconds = 1.0, upstream = %text);
    let model = Model::new(text, "chat", "vllm");
    let inference = Inference::new(model, std::time::Duration::from_secs(1));
    sink.record(&inference.into());
    let key =
        |name: &'static str| Key::from_parts(name, vec![Label::new("upstream", text.to_owned())]);
    for _ in 0..2 {
        let counter = recorder.register_counter(&key("direct"), &METADATA);
        counter.increment(1);
        recorder.register_gauge(&key("level"), &METADATA).set(1.0);
        let histogram = recorder.register_histogram(&key("size_bytes"), &METADATA);
        histogram.record(1.0);
    }
}

#[test]
fn keys_in_labels_reach_no_exposition_by_any_way() {
    let watched = watched();
    let sink = MetricsSink::new(watched.registry.clone(), SinkOptions::default());
    let keys = keys();
    watched.run(|| {
        for key in &keys {
            record(&key.text, &sink, &watched.registry);
        }
    });
    for format in [Format::Prometheus, Format::OpenMetrics] {
        check_no_leak("the exposition", &keys, &watched.registry.render(format));
    }
    let text = watched.text();
    let count = keys.len() as f64;
    assert_eq!(sum(&text, "direct_total", ""), 2.0 * count);
    assert_eq!(sum(&text, "calls_total", ""), count);
    assert_eq!(sum(&text, "llm_router_errors_total", ""), count);
    assert_eq!(
        sum(&text, "direct_total", r#"upstream="key [masked] used""#),
        34.0
    );
}

#[test]
fn keys_in_labels_do_not_reach_a_foreign_recorder() {
    let keys = keys();
    let recorder = std::sync::Arc::new(PrometheusBuilder::new().build_recorder());
    let handle = recorder.handle();
    let facade = FacadeSink::new(recorder, "llm_router_", SinkOptions::default());
    let facade = std::sync::Arc::new(facade);
    let layer = ObservatoryLayer::new(std::sync::Arc::clone(&facade));
    let unused = Registry::new(RegistryOptions::default()).unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        for key in &keys {
            record(&key.text, &facade, &unused);
        }
    });
    let text = handle.render();
    check_no_leak("the foreign recorder", &keys, &text);
    assert_eq!(sum(&text, "llm_router_errors_total", ""), keys.len() as f64);
    assert_eq!(sum(&text, "calls", ""), keys.len() as f64);
}

#[test]
fn a_registry_and_a_facade_without_masks_keep_values() {
    let key = "gsk_x7Qk2Vd9mZt4Rw8LsB3N";
    let registry = Registry::new(RegistryOptions::default().without_masks()).unwrap();
    let of = Key::from_parts("direct", vec![Label::new("upstream", key)]);
    registry.register_counter(&of, &METADATA).increment(1);
    assert!(registry.render(Format::Prometheus).contains(key));
    let recorder = std::sync::Arc::new(PrometheusBuilder::new().build_recorder());
    let handle = recorder.handle();
    let sink = FacadeSink::new(recorder, "", SinkOptions::default().without_masks());
    let inference = Inference::new(Model::new(key, "", ""), std::time::Duration::from_secs(1));
    sink.record(&inference.into());
    assert!(handle.render().contains(key));
}

#[test]
fn a_new_key_with_each_call_makes_one_series_and_leaves_the_limit_to_others() {
    let options = RegistryOptions::default().with_series_limit(10);
    let registry = Registry::new(options).unwrap();
    let hit = |value: String| {
        let key = Key::from_parts("hits", vec![Label::new("upstream", value)]);
        registry.register_counter(&key, &METADATA).increment(1);
    };
    for number in 0..5_000 {
        hit(format!("gsk_x7Qk2Vd9mZt4Rw8LsB3N{number}"));
    }
    for number in 0..9 {
        hit(format!("host-{number}"));
    }
    let overflow = "observatory_series_overflowed_total";
    let text = registry.render(Format::Prometheus);
    let masked = r#"hits_total{upstream="[masked]"} 5000"#;
    assert!(text.contains(masked), "{text}");
    assert_eq!(sum(&text, "hits_total", ""), 5_009.0);
    assert_eq!(sum(&text, overflow, "hits_total"), 0.0);
    // The limit counts the masked series.
    hit("host-9".to_owned());
    hit("gsk_x7Qk2Vd9mZt4Rw8LsB3Nlast".to_owned());
    let text = registry.render(Format::Prometheus);
    assert_eq!(sum(&text, overflow, "hits_total"), 1.0);
    assert!(
        text.contains(r#"hits_total{upstream="[masked]"} 5001"#),
        "{text}"
    );
}

#[test]
fn a_sink_of_the_application_receives_values_as_recorded() {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let store = std::sync::Arc::clone(&seen);
    let sink =
        llm_observatory::FnSink::new(move |observation: &llm_observatory::Observation<'_>| {
            store.lock().unwrap().push_str(&format!("{observation:?}"));
        });
    let layer = ObservatoryLayer::new(sink);
    let key = "gsk_x7Qk2Vd9mZt4Rw8LsB3N";
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        drop(info_span!("cache", operation = "get", cache_type = key));
    });
    assert!(seen.lock().unwrap().contains(key));
}
