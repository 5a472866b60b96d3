//! Tests faults of the application that must not harm the observatory, and the reverse.

use std::{fmt, panic::catch_unwind};

use llm_observatory::{FnSink, Model, Observation, ObservatoryLayer};
use metrics::{Key, Label, Level, Metadata, Recorder as _};
use tracing::{error, field::Empty, info, info_span};
use tracing_subscriber::prelude::*;

use super::support::{sum, watched};

static METADATA: Metadata<'_> = Metadata::new("hostile", Level::INFO, None);

/// A value whose `Debug` panics.
struct Bomb;

impl fmt::Debug for Bomb {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("on purpose");
    }
}

#[test]
fn a_layer_that_panics_with_the_extensions_locked_affects_no_other_layer() {
    let watched = watched();
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
    tracing::subscriber::with_default(
        tracing_subscriber::registry()
            .with(watched.layer())
            .with(log),
        || {
            for name in ["plain", "cache"] {
                let held = catch_unwind(|| {
                    let span = if name == "plain" {
                        info_span!("plain", v = Empty)
                    } else {
                        info_span!("cache", v = Empty)
                    };
                    span.record("v", tracing::field::debug(Bomb));
                });
                assert!(held.is_err(), "the log's layer panics");
            }
            drop(info_span!("inference", model_id = "after"));
        },
    );
    watched.check_outcomes([1, 0, 0, 0, 0]);
}

/// Traces print values that metrics ignore.
#[cfg(feature = "otlp")]
#[test]
fn a_value_whose_debug_panics_is_withheld_from_its_trace_only() {
    use llm_observatory::{Config, Format, Observatory, TracesConfig};

    let mut traces = TracesConfig::default();
    traces.exporters.clear();
    let config = Config::default().without_server().with_traces(traces);
    let config = config.with_sampling_ratio(1.0);
    let (layer, observatory) = Observatory::builder(config).build().unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let span = info_span!("step", bomb = ?Bomb, turn = 7, note = "kept", late = Empty);
        let _entered = span.enter();
        span.record("late", tracing::field::debug(Bomb));
        info!(bomb = ?Bomb, turn = 8, "inside");
        let edge = info_span!(parent: None, "edge", otel.kind = "server", bomb = ?Bomb, turn = 9);
        edge.in_scope(|| ());
        info_span!("harmless", note = ?"printed").in_scope(|| ());
    });
    observatory.shutdown_blocking();
    let live = observatory.traces();
    let spans: Vec<_> = live
        .recent(9)
        .iter()
        .flat_map(|trace| live.spans(trace.trace_id))
        .collect();
    let of = |name: &str, key: &str| {
        let span = spans.iter().find(|span| span.name == name).unwrap();
        let found = span.attributes.iter().find(|(found, _)| found == key);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    assert_eq!(of("step", "bomb"), "[withheld]");
    assert_eq!(of("step", "turn"), "7");
    assert_eq!(of("step", "note"), "kept");
    assert_eq!(of("step", "late"), "[withheld]");
    assert_eq!(of("edge", "turn"), "9");
    assert_eq!(of("harmless", "note"), "\"printed\"");
    let step = spans.iter().find(|span| span.name == "step").unwrap();
    let [event] = step.events.as_slice() else {
        panic!("one event: {step:?}");
    };
    assert_eq!(event.name, "inside");
    let turn = ("turn".to_owned(), "8".to_owned());
    assert!(event.attributes.contains(&turn), "{event:?}");
    let text = observatory.export_metrics(Format::Prometheus);
    let dropped = "observatory_dropped_observations_total";
    assert_eq!(sum(&text, dropped, "panicking_field"), 4.0);
}

/// Covers every position of a value, with every layer of the observatory.
#[cfg(feature = "otlp")]
#[test]
fn a_debug_that_panics_does_not_affect_the_caller_with_traces_and_log_enabled() {
    use llm_observatory::{Config, Observatory, SamplingRule, TracesConfig};

    for ratio in [0.0, 1.0] {
        let mut traces = TracesConfig::default();
        traces.exporters.clear();
        traces.sampling.rules = vec![SamplingRule::new(ratio).with_model("*")];
        let config = Config::default()
            .without_server()
            .with_traces(traces)
            .with_sampling_ratio(ratio);
        let (layer, observatory) = Observatory::builder(config).build().unwrap();
        let subscriber = tracing_subscriber::registry()
            .with(layer)
            .with(observatory.log_layer())
            .with(observatory.log_export_layer());
        tracing::subscriber::with_default(subscriber, || {
            // Often enough for the registry to reuse slots.
            for _ in 0..20 {
                let outer = info_span!("inference", model_id = ?Bomb, note = %"fine", tokens = 3);
                let edge =
                    info_span!(parent: &outer, "call", otel.kind = ?Bomb, kept = 1, v = Empty);
                edge.in_scope(|| {
                    edge.record("v", tracing::field::debug(Bomb));
                    info!(value = ?Bomb, "a {} b", 1);
                    error!("message {:?}", Bomb);
                    drop(info_span!(parent: None, "apart", v = ?Bomb));
                    tracing::warn!(alert.rule = "x", v = ?Bomb, "y");
                });
            }
            info_span!("after", v = 7).in_scope(|| info!("fine"));
        });
        observatory.shutdown_blocking();
        let text = observatory.export_metrics(llm_observatory::Format::Prometheus);
        assert_eq!(sum(&text, "llm_router_model_inference_total", ""), 20.0);
        let kept = observatory.traces().recent(99);
        if ratio == 0.0 {
            assert!(kept.is_empty(), "{kept:?}");
            continue;
        }
        let spans: Vec<_> = kept
            .iter()
            .flat_map(|trace| observatory.traces().spans(trace.trace_id))
            .collect();
        assert_eq!(spans.len(), 61, "20 of each and one after");
        let has = |name: &str, key: &str, value: &str| {
            let of_name = spans.iter().filter(|span| span.name.starts_with(name));
            let pair = (key.to_owned(), value.to_owned());
            of_name.clone().count() > 0
                && of_name.clone().all(|span| span.attributes.contains(&pair))
        };
        assert!(has("call", "kept", "1"), "{spans:?}");
        assert!(has("call", "v", "[withheld]"), "{spans:?}");
        assert!(has("apart", "v", "[withheld]"), "{spans:?}");
        assert!(has("after", "v", "7"), "{spans:?}");
        let failed = spans.iter().filter(|span| span.name == "call");
        assert!(
            failed.clone().all(|span| span.error.is_some()),
            "the event's level counts"
        );
        let parents: std::collections::BTreeSet<_> = kept.iter().map(|trace| trace.spans).collect();
        assert_eq!(parents, [1, 2].into(), "{kept:?}");
        let panics = r#"reason="panicking_field""#;
        assert!(sum(&text, "observatory_dropped_observations_total", panics) > 0.0);
    }
}

#[test]
fn two_layers_in_one_stack_both_see_everything() {
    let watched = watched();
    let seen = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&seen);
    let second = ObservatoryLayer::new(FnSink::new(move |_: &Observation<'_>| {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }));
    tracing::subscriber::with_default(
        tracing_subscriber::registry()
            .with(watched.layer())
            .with(second),
        || {
            drop(info_span!(
                "http_request",
                method = "GET",
                route = "/",
                status_code = 200
            ));
            drop(info_span!("inference", model_id = "a"));
        },
    );
    assert_eq!(seen.load(std::sync::atomic::Ordering::Relaxed), 2);
    assert_eq!(
        sum(&watched.text(), "llm_router_http_requests_total", ""),
        1.0
    );
}

#[test]
fn labels_recorded_by_two_threads_leave_no_inference_in_flight() {
    let watched = watched();
    watched.run(|| {
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        for _ in 0..300 {
            let span = info_span!(
                "inference",
                model_id = "a",
                engine = Empty,
                model_type = Empty,
                error.r#type = Empty
            );
            std::thread::scope(|scope| {
                for (field, value) in [
                    ("engine", "vllm"),
                    ("model_type", "moe"),
                    ("error.type", "oom"),
                ] {
                    let (span, dispatch) = (span.clone(), dispatch.clone());
                    scope.spawn(move || {
                        tracing::dispatcher::with_default(&dispatch, || {
                            span.record(field, value);
                        });
                    });
                }
            });
        }
    });
    watched.check_outcomes([0, 300, 0, 0, 0]);
    let whole = r#"llm_router_model_inference_total{engine="vllm",model_id="a",model_type="moe",status="error"}"#;
    watched.check(&[
        (whole, 300.0),
        (
            r#"llm_router_errors_total{component="inference",error_type="oom"}"#,
            300.0,
        ),
    ]);
}

#[test]
fn a_connection_whose_type_comes_late_leaves_every_gauge_at_0() {
    let watched = watched();
    watched.run(|| {
        let span = info_span!("connection", connection_type = Empty);
        span.record("connection_type", "websocket");
        watched.check(&[(
            r#"llm_router_active_connections{connection_type="websocket"}"#,
            1.0,
        )]);
    });
    watched.check(&[
        (
            r#"llm_router_active_connections{connection_type="websocket"}"#,
            0.0,
        ),
        (
            r#"llm_router_active_connections{connection_type="other"}"#,
            0.0,
        ),
    ]);
}

#[test]
fn errors_inside_a_span_without_an_outcome_are_counted() {
    let watched = watched();
    watched.run(|| {
        info_span!("connection", connection_type = "websocket").in_scope(|| error!("broken frame"));
        info_span!("called", http.request.method = "GET", otel.kind = "client")
            .in_scope(|| error!(error_type = "dns", "no host"));
    });
    watched.check(&[
        (
            r#"llm_router_errors_total{component="connection",error_type="_OTHER"}"#,
            1.0,
        ),
        (
            r#"llm_router_errors_total{component="http_client",error_type="dns"}"#,
            1.0,
        ),
    ]);
}

#[test]
fn many_error_types_do_not_overflow_the_label_of_the_model() {
    let watched = watched();
    watched.run(|| {
        for number in 0..3_000 {
            let span = info_span!("inference", model_id = "a", error.r#type = Empty);
            span.record("error.type", format!("request {number} failed").as_str());
        }
        drop(info_span!("inference", model_id = "b"));
    });
    let text = watched.text();
    assert_eq!(
        sum(&text, "llm_router_model_inference_total", "model_id=\"a\""),
        3_000.0
    );
    assert_eq!(
        sum(&text, "llm_router_model_inference_total", "model_id=\"b\""),
        1.0
    );
    assert_eq!(sum(&text, "llm_router_errors_total", ""), 3_000.0);
    assert!(!text.lines().any(
        |line| line.starts_with("llm_router_model_inference_total") && line.contains("_other")
    ));
}

#[test]
fn observations_with_impossible_counts_are_dropped() {
    let watched = watched();
    watched.run(|| {
        let underflow = 5_u64.wrapping_sub(8);
        drop(info_span!("inference", model_id = "a", tokens = 10));
        drop(info_span!("inference", model_id = "a", tokens = underflow));
        info_span!("inference", model_id = "a", status = "success").in_scope(|| {
            info!(name: "token", count = 0);
            info!(name: "token", count = -4);
            info!(name: "token", count = f64::NAN);
            info!(name: "token", count = "many");
        });
        info!(name: "cache_size", cache_type = "kv", bytes = -5.0);
    });
    watched.check(&[
        (r#"llm_router_tokens_generated_total{model_id="a"}"#, 10.0),
        (
            r#"llm_router_time_to_first_token_seconds_count{model_id="a"}"#,
            0.0,
        ),
        (
            r#"observatory_dropped_observations_total{reason="out_of_range"}"#,
            1.0,
        ),
        (
            r#"observatory_dropped_observations_total{reason="negative"}"#,
            2.0,
        ),
        (
            r#"observatory_dropped_observations_total{reason="not_a_number"}"#,
            1.0,
        ),
        (
            r#"observatory_dropped_observations_total{reason="not_numeric"}"#,
            1.0,
        ),
    ]);
    assert!(!watched.text().contains("cache_size_bytes"));
}

#[test]
fn an_unknown_status_does_not_hide_a_failure() {
    let watched = watched();
    watched.run(|| {
        drop(info_span!(
            "inference",
            model_id = "a",
            status = "rate_limited",
            error.r#type = "429"
        ));
    });
    watched.check_outcomes([0, 1, 0, 0, 0]);
    watched.check(&[(
        r#"llm_router_errors_total{component="inference",error_type="429"}"#,
        1.0,
    )]);
}

#[test]
fn a_status_as_http_displays_it_is_its_code() {
    let watched = watched();
    watched.run(|| {
        drop(info_span!("http_request", method = "GET", route = "/", status = %"503 Service Unavailable"));
        drop(info_span!("http_request", method = "GET", route = "/", status_code = %"200 OK"));
    });
    watched.check(&[
        (
            r#"llm_router_http_requests_total{method="GET",route="/",status_code="503"}"#,
            1.0,
        ),
        (
            r#"llm_router_http_requests_total{method="GET",route="/",status_code="200"}"#,
            1.0,
        ),
        (
            r#"llm_router_errors_total{component="http_request",error_type="503"}"#,
            1.0,
        ),
    ]);
}

#[test]
fn a_panic_does_not_change_the_outcome_of_a_finished_inference() {
    let watched = watched();
    watched.run(|| {
        let _ = catch_unwind(|| {
            let held = info_span!("inference", model_id = "a", status = Empty);
            held.record("status", "success");
            panic!("on purpose");
        });
    });
    watched.check_outcomes([1, 0, 0, 0, 0]);
}

#[test]
fn variable_keys_cannot_grow_a_metric_without_bound() {
    let registry = llm_observatory::Registry::new(
        llm_observatory::RegistryOptions::default()
            .with_series_limit(10)
            .with_label("region", "eu"),
    )
    .unwrap();
    for number in 0..5_000 {
        let key = Key::from_parts("hits", vec![Label::new(format!("k{number}"), "v")]);
        registry.register_counter(&key, &METADATA).increment(1);
    }
    let text = registry.render(llm_observatory::Format::Prometheus);
    let series: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("hits_total{"))
        .collect();
    assert!(series.len() < 100, "{}", series.len());
    assert!(
        series.iter().all(|line| line.contains("region=\"eu\"")),
        "{series:?}"
    );
    assert_eq!(sum(&text, "hits_total", ""), 5_000.0);
}

#[test]
fn values_that_are_not_finite_do_not_change_a_sum() {
    let watched = watched();
    let histogram = watched
        .registry
        .register_histogram(&Key::from_name("h"), &METADATA);
    let gauge = watched
        .registry
        .register_gauge(&Key::from_name("g"), &METADATA);
    for value in [f64::INFINITY, f64::NAN, 1.0] {
        histogram.record(value);
        gauge.increment(value);
    }
    watched.check(&[("h_sum", 1.0), ("h_count", 1.0), ("g", 1.0)]);
}

/// A thread-local whose destructor records after the observatory's thread-locals may have been destroyed.
struct Farewell(llm_observatory::Registry);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0
            .register_counter(&Key::from_name("farewells"), &METADATA)
            .increment(1);
    }
}

#[test]
fn a_destructor_at_the_end_of_a_thread_may_record() {
    thread_local! { static FAREWELL: std::cell::RefCell<Option<Farewell>> = const { std::cell::RefCell::new(None) } }
    let watched = watched();
    let registry = watched.registry.clone();
    std::thread::spawn(move || {
        FAREWELL.set(Some(Farewell(registry.clone())));
        registry
            .register_counter(&Key::from_name("others"), &METADATA)
            .increment(1);
    })
    .join()
    .unwrap();
    watched.check(&[("farewells_total", 1.0)]);
}

#[test]
fn a_long_name_is_truncated_and_counted() {
    let watched = watched();
    let sink = llm_observatory::MetricsSink::new(
        watched.registry.clone(),
        llm_observatory::SinkOptions::default(),
    );
    let name = "m".repeat(1 << 20);
    let inference = llm_observatory::Inference::new(
        Model::new(&name, "", ""),
        std::time::Duration::from_secs(1),
    );
    llm_observatory::Sink::record(&sink, &inference.into());
    watched.check(&[(
        r#"observatory_dropped_observations_total{reason="truncated"}"#,
        1.0,
    )]);
}
