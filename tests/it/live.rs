//! Tests the live traces, inside the process and over HTTP.
#![cfg(feature = "server")]

use std::time::{Duration, Instant};

use llm_observatory::{Config, Observatory, TailConfig, TracesConfig};
use serde_json::Value;
use tracing::{Span, error, info_span};
use tracing_subscriber::prelude::*;

use super::server::get;

/// A configuration that exports nothing and samples all traces out at the tail, on which live traces do not depend.
fn config() -> Config {
    let mut traces = TracesConfig::default();
    traces.exporters.clear();
    traces.tail = Some(TailConfig::default().with_ratio(0.0));
    traces.batch.delay = Duration::from_millis(10);
    Config::default()
        .with_listen("127.0.0.1:0".parse().unwrap())
        .with_traces(traces)
}

/// Fetches a path; returns the status and the body.
fn ask(observatory: &Observatory, path: &str) -> (u16, Value) {
    let (head, body) = get(observatory.listen_address().unwrap(), path, "");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn recent_slow_failed_and_open_spans_are_listed() {
    let (layer, observatory) = Observatory::builder(config()).build().unwrap();
    let subscriber = tracing_subscriber::registry().with(layer);
    let _default = tracing::subscriber::set_default(subscriber);
    info_span!("quick").in_scope(|| ());
    info_span!("slow").in_scope(|| std::thread::sleep(Duration::from_millis(30)));
    info_span!("broken", prompt = "a s3cret", model_id = "gpt-4o").in_scope(|| {
        info_span!("inner").in_scope(|| error!(code = 7, "it broke"));
    });
    let open = info_span!("open");
    let inner = open.in_scope(|| info_span!("never entered"));
    let traces = observatory.traces();
    wait_until("three traces", || traces.recent(9).len() == 3);
    assert_eq!(traces.recent(9)[0].name, "broken");
    assert_eq!(traces.slowest(1)[0].name, "slow");
    assert!(traces.slowest(1)[0].duration >= Duration::from_millis(30));
    let failed = traces.failed(9);
    let [failed] = failed.as_slice() else {
        panic!("{failed:?}");
    };
    assert_eq!((failed.spans, failed.failed), (2, 1));
    let spans = traces.spans(failed.trace_id);
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["broken", "inner"]);
    assert_eq!(spans[1].parent_id, Some(spans[0].span_id));
    assert_eq!(spans[1].events[0].name, "it broke");
    let has = |key: &str, value: &str| {
        let pair = (key.to_owned(), value.to_owned());
        spans[0].attributes.contains(&pair)
    };
    assert!(has("model_id", "gpt-4o") && has("prompt", "[withheld]"));

    let now_open = traces.open(9);
    let names: Vec<&str> = now_open.iter().map(|span| span.name).collect();
    assert_eq!(names, ["open", "never entered"]);
    assert!(now_open[0].trace_id.is_some() && now_open[1].trace_id.is_none());
    assert!(now_open[0].age >= now_open[1].age);
    assert_eq!(now_open[1].parent_id, now_open[0].span_id);

    let (status, body) = ask(&observatory, "/api/observatory/traces");
    assert_eq!((status, &body["isEnabled"]), (200, &Value::Bool(true)));
    assert_eq!(body["recent"].as_array().unwrap().len(), 3);
    assert_eq!(body["open"][0]["name"], "open");
    assert!(body["open"][0]["ageSeconds"].as_f64().unwrap() >= 0.0);
    let (_, body) = ask(&observatory, "/api/observatory/traces?view=slowest&limit=1");
    assert_eq!(body["slowest"][0]["name"], "slow");
    assert_eq!(body.get("recent"), None);
    let path = format!("/api/observatory/traces/{:032x}", failed.trace_id);
    let (status, body) = ask(&observatory, &path);
    assert_eq!(
        (status, &body["spans"][1]["name"]),
        (200, &Value::from("inner"))
    );
    assert!(!body.to_string().contains("s3cret"));
    assert_eq!((&body["leftOut"], body.get("url")), (&Value::from(0), None));
    let began = body["spans"][0]["startedAt"].as_f64().unwrap();
    assert!((0.0..60_000.0).contains(&(body["now"].as_f64().unwrap() - began)));
    // None of its spans has ended, and the trace is listed nevertheless.
    let path = format!(
        "/api/observatory/traces/{:032x}",
        now_open[0].trace_id.unwrap()
    );
    let (status, body) = ask(&observatory, &path);
    assert_eq!(
        (status, &body["open"][0]["name"]),
        (200, &Value::from("open"))
    );
    for (path, expected) in [
        ("?view=all", 400),
        ("?limit=many", 400),
        ("?limit=501", 400),
        ("?vew=open", 400),
        ("/xyz", 400),
        ("/0123456789abcdef0123456789abcdef", 404),
    ] {
        let (status, body) = ask(&observatory, &format!("/api/observatory/traces{path}"));
        assert_eq!(
            (status, &body["status"]),
            (expected, &Value::from("error")),
            "{path}"
        );
    }
    drop((open, inner));
    assert!(traces.open(9).is_empty());
}

#[test]
fn without_traces_the_lists_are_empty() {
    let config = Config::default().with_listen("127.0.0.1:0".parse().unwrap());
    let (layer, observatory) = Observatory::builder(config).build().unwrap();
    let _default = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let _open: Span = info_span!("open").entered().exit();
    let traces = observatory.traces();
    assert!(!traces.is_enabled() && traces.open(9).is_empty() && traces.recent(9).is_empty());
    let (status, body) = ask(&observatory, "/api/observatory/traces");
    assert_eq!((status, &body["isEnabled"]), (200, &Value::Bool(false)));
    assert_eq!(body["disabledBy"], "traces.enabled");
    let mut config = self::config();
    config.traces.live.enabled = false;
    let (_, observatory) = Observatory::builder(config)
        .build::<tracing_subscriber::Registry>()
        .unwrap();
    let (_, body) = ask(&observatory, "/api/observatory/traces");
    assert_eq!(body["disabledBy"], "traces.live.enabled");
}

#[cfg(feature = "alerting")]
#[test]
fn each_trace_links_to_the_configured_trace_viewer() {
    let mut config = config();
    let template = "http://jaeger:16686/trace/{trace_id}?a=\"<b>&t={trace_id}";
    config.alerting.trace_url = Some(template.to_owned());
    let (layer, observatory) = Observatory::builder(config).build().unwrap();
    let _default = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    info_span!("failed").in_scope(|| error!("it broke"));
    let traces = observatory.traces();
    wait_until("a trace", || traces.recent(9).len() == 1);
    let url_of = |id: &str| format!("http://jaeger:16686/trace/{id}?a=\"<b>&t={id}");
    let id = format!("{:032x}", traces.recent(1)[0].trace_id);
    let (_, body) = ask(&observatory, "/api/observatory/traces");
    for view in ["recent", "slowest", "failed"] {
        assert_eq!(body[view][0]["url"], url_of(&id), "{view}");
        assert_eq!(body[view][0]["traceId"], *id, "{view}");
    }
    let (_, body) = ask(&observatory, &format!("/api/observatory/traces/{id}"));
    assert_eq!(body["url"], url_of(&id));
    let gone = "0123456789abcdef0123456789abcdef";
    let (status, body) = ask(&observatory, &format!("/api/observatory/traces/{gone}"));
    assert_eq!((status, &body["url"]), (404, &Value::from(url_of(gone))));
}

#[cfg(feature = "alerting")]
#[test]
fn links_use_only_http_and_https() {
    for wrong in [
        "javascript:alert('{trace_id}')",
        "data:text/html,{trace_id}",
        "//host/{trace_id}",
    ] {
        let mut config = config();
        config.alerting.trace_url = Some(wrong.to_owned());
        let built = Observatory::builder(config).build::<tracing_subscriber::Registry>();
        assert!(built.is_err(), "{wrong}");
    }
}

/// Returns the spans of the single trace that `work` makes, from the live traces.
fn seen(work: impl FnOnce()) -> Vec<llm_observatory::SpanRecord> {
    let mut traces = llm_observatory::TracesConfig::default();
    traces.exporters.clear();
    let config = llm_observatory::Config::default()
        .without_server()
        .with_traces(traces)
        .with_sampling_ratio(1.0);
    let (layer, observatory) = Observatory::builder(config).build().unwrap();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, work);
    observatory.shutdown_blocking();
    let traces = observatory.traces();
    let recent = traces.recent(9);
    assert_eq!(recent.len(), 1, "{recent:?}");
    traces.spans(recent[0].trace_id)
}

#[test]
fn a_panic_or_an_error_field_marks_a_span_as_failed() {
    let panicked = seen(|| {
        let work = || tracing::info_span!("work").in_scope(|| panic!("a test's own"));
        assert!(std::panic::catch_unwind(work).is_err());
    });
    assert_eq!(panicked[0].error.as_deref(), Some("panic"));
    let class = ("error.type".to_owned(), "panic".to_owned());
    assert!(panicked[0].attributes.contains(&class), "{panicked:?}");
    let failed = seen(|| drop(tracing::info_span!("work", error = "sold out")));
    assert_eq!(failed[0].error.as_deref(), Some("sold out"));
}

#[test]
fn token_events_are_not_span_events_and_the_error_of_a_stream_is() {
    let spans = seen(|| {
        let span = tracing::info_span!("inference", model_id = "m");
        let _entered = span.enter();
        tracing::info!(name: "first_token", count = 1);
        for _ in 0..500 {
            tracing::info!(name: "token", count = 1);
        }
        tracing::error!("upstream broke the stream");
    });
    let names: Vec<&str> = spans[0].events.iter().map(|event| &*event.name).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names[1].contains("upstream broke the stream"), "{names:?}");
}

#[test]
fn a_span_ends_with_the_operation_that_it_measures() {
    let spans = seen(|| {
        let span = tracing::info_span!("http_request", observatory.ended = tracing::field::Empty);
        let task = span.clone();
        span.record("observatory.ended", true);
        drop(span);
        std::thread::sleep(std::time::Duration::from_millis(150));
        drop(task);
    });
    assert!(
        spans[0].duration < std::time::Duration::from_millis(100),
        "{spans:?}"
    );
}

#[test]
fn an_open_trace_is_named_by_its_open_root() {
    let (layer, observatory) = Observatory::builder(config()).build().unwrap();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        info_span!("generate").in_scope(|| {
            info_span!("route_selection").in_scope(|| ());
            let patience = Instant::now() + Duration::from_secs(5);
            let trace = loop {
                if let Some(trace) = observatory.traces().recent(1).pop() {
                    break trace;
                }
                assert!(Instant::now() < patience);
                std::thread::sleep(Duration::from_millis(20));
            };
            assert_eq!(
                (trace.name.as_str(), trace.is_complete),
                ("generate", false)
            );
            assert!(trace.duration >= Duration::from_millis(10), "{trace:?}");
        });
    });
}
