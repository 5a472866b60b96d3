//! Tests spans that are named at run time, and the names of exported inferences.

use std::time::{Duration, Instant};

use llm_observatory::{Clock, Config, ManualClock, Observatory, SpanRecord, TracesConfig};
use tracing::{Dispatch, dispatcher, field::Empty, info_span};
use tracing_subscriber::prelude::*;

/// Returns the spans of the single trace that `work` makes, as they are exported.
fn spans_of(ratio: f64, work: impl FnOnce(&Observatory)) -> Vec<SpanRecord> {
    spans_with(ratio, Clock::system(), work)
}

fn spans_with(ratio: f64, clock: Clock, work: impl FnOnce(&Observatory)) -> Vec<SpanRecord> {
    let mut traces = TracesConfig::default();
    traces.exporters.clear();
    traces.batch.delay = Duration::from_millis(10);
    let config = Config::default()
        .without_server()
        .with_traces(traces)
        .with_sampling_ratio(ratio);
    let builder = Observatory::builder(config).clock(clock);
    let (layer, observatory) = builder.build().unwrap();
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    dispatcher::with_default(&dispatch, || work(&observatory));
    // After the pipeline has stopped, all ended spans have been processed.
    let start = Instant::now();
    observatory.shutdown_blocking();
    assert!(start.elapsed() < Duration::from_secs(5));
    let traces = observatory.traces();
    let recent = traces.recent(9);
    recent
        .first()
        .map_or_else(Vec::new, |trace| traces.spans(trace.trace_id))
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(work)
}

fn attribute<'a>(span: &'a SpanRecord, key: &str) -> Option<&'a str> {
    let pair = span.attributes.iter().find(|(name, _)| name == key)?;
    Some(&pair.1)
}

#[test]
fn a_custom_span_has_its_name_its_attributes_and_its_children() {
    let attributes = || {
        (
            ("documents", 40),
            ("share", 0.5),
            ("is_cached", true),
            ("prompt", "a s3cret"),
        )
    };
    let spans = spans_of(1.0, |observatory| {
        let name = format!("rerank {}", 1);
        let inner = async { info_span!("inner").in_scope(|| 7) };
        let done = block_on(observatory.with_span(&name, attributes(), inner));
        assert_eq!(done, 7);
    });
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["rerank 1", "inner"]);
    assert_eq!(spans[1].parent_id, Some(spans[0].span_id));
    for (key, value) in [
        ("documents", "40"),
        ("share", "0.5"),
        ("is_cached", "true"),
        ("prompt", "[withheld]"),
    ] {
        assert_eq!(attribute(&spans[0], key), Some(value), "{spans:?}");
    }
    assert_eq!(spans[0].error, None);
    let none = spans_of(0.0, |observatory| {
        block_on(observatory.with_span("rerank", attributes(), async {}));
    });
    assert!(none.is_empty());
}

#[test]
fn the_error_of_the_work_is_the_error_of_the_span() {
    let none: [(&str, i64); 0] = [];
    let spans = spans_of(1.0, |observatory| {
        let work = async { Err::<(), _>("no room for ann@example.org") };
        let failed = block_on(observatory.try_with_span("load", none, work));
        assert_eq!(failed, Err("no room for ann@example.org"));
    });
    let error = spans[0].error.as_deref().unwrap();
    assert!(
        error.starts_with("no room for ") && !error.contains("ann@"),
        "{error}"
    );
}

#[test]
fn an_inference_is_exported_with_the_names_of_the_conventions() {
    let spans = spans_of(1.0, |_| {
        info_span!(
            "inference",
            model_id = "gpt-4o",
            engine = "openai",
            tokens = 7,
            prompt = "a s3cret"
        )
        .in_scope(|| ());
    });
    let span = &spans[0];
    assert_eq!((span.name.as_str(), span.kind), ("chat gpt-4o", "client"));
    for (key, value) in [
        ("model_id", "gpt-4o"),
        ("tokens", "7"),
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "gpt-4o"),
        ("gen_ai.usage.output_tokens", "7"),
        ("prompt", "[withheld]"),
    ] {
        assert_eq!(attribute(span, key), Some(value), "{span:?}");
    }
}

#[test]
fn a_span_of_opentelemetry_has_the_time_inside_and_the_time_outside() {
    let clock = ManualClock::new();
    let spans = spans_with(1.0, clock.clock(), |_| {
        let span = info_span!("step");
        clock.advance(Duration::from_secs(1));
        for busy in [3, 4] {
            span.in_scope(|| clock.advance(Duration::from_secs(busy)));
            clock.advance(Duration::from_secs(2));
        }
    });
    // The time after the last exit does not count.
    assert_eq!(attribute(&spans[0], "busy_ns"), Some("7000000000"));
    assert_eq!(attribute(&spans[0], "idle_ns"), Some("3000000000"));
}

#[test]
fn a_cancelled_inference_is_marked_and_does_not_count_as_failed() {
    let work = |record: fn(&tracing::Span)| {
        spans_of(1.0, |_| {
            let span = info_span!(
                "inference",
                model_id = "gpt-4o",
                status = Empty,
                error.r#type = Empty
            );
            span.in_scope(|| ());
            record(&span);
        })
    };
    let cancelled: [fn(&tracing::Span); 3] = [
        // As `#[instrument]` does when its future is dropped.
        |_| (),
        |span| _ = span.record("status", "cancelled"),
        |span| _ = span.record("error.type", "cancelled"),
    ];
    for record in cancelled {
        let spans = work(record);
        assert_eq!(attribute(&spans[0], "error.type"), Some("cancelled"));
        assert_eq!(spans[0].error, None);
    }
    let succeeded = work(|span| _ = span.record("status", "success"));
    assert_eq!(attribute(&succeeded[0], "error.type"), None);
}

#[test]
fn a_stream_has_its_counted_tokens_and_the_time_to_its_first_token() {
    let clock = ManualClock::new();
    let spans = spans_with(1.0, clock.clock(), |_| {
        let span = info_span!("inference", model_id = "gpt-4o");
        span.in_scope(|| {
            for count in [1, 4] {
                clock.advance(Duration::from_millis(1500));
                tracing::info!(name: "token", count);
            }
        });
    });
    let [span] = &spans[..] else {
        panic!("{spans:?}");
    };
    assert_eq!(attribute(span, "gen_ai.usage.output_tokens"), Some("5"));
    let first = attribute(span, "gen_ai.response.time_to_first_chunk");
    assert_eq!(first, Some("1.5"));
    assert_eq!(attribute(span, "error.type"), None);
}

#[test]
fn a_count_of_the_provider_is_not_replaced_by_counted_tokens() {
    let spans = spans_of(1.0, |_| {
        let span = info_span!("inference", model_id = "gpt-4o", completion_tokens = 7);
        span.in_scope(|| tracing::info!(name: "token", count = 5));
    });
    let tokens = attribute(&spans[0], "gen_ai.usage.output_tokens");
    assert_eq!(tokens, Some("7"));
}
