//! Tests the wrappers: their spans are the ones that the Layer interprets, and end once.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use llm_observatory::{
    GenAi, Model, Tokens,
    instrument::{
        ConnectionGuard, InferenceCall, OpenAi, Sse, begin_routing, cache_size, model_quality,
        monitor_cache, monitor_database, monitor_inference, monitor_model_load,
        monitor_model_unload, monitor_queue, observe_cache, observe_database, response_similarity,
    },
};

use super::support::{Watched, sum, watched};

const GPT: Model<'_> = Model::new("gpt-4o", "transformer", "openai");
const LABELS: &str = r#"{engine="openai",model_id="gpt-4o",model_type="transformer"}"#;

type Answer = Result<&'static str, std::io::Error>;

fn broken() -> std::io::Error {
    std::io::Error::from(std::io::ErrorKind::ConnectionReset)
}

/// Polls a future that is ready immediately.
fn now<F: Future>(future: F) -> F::Output {
    future.now_or_never().unwrap()
}

fn check_source(watched: &Watched, source: &str, expected: f64) {
    let found = sum(&watched.text(), "llm_router_token_source_total", source);
    assert!((found - expected).abs() < 1e-9, "{source}: {found}");
}

#[test]
fn a_call_ends_with_its_result_and_reports_its_usage() {
    let watched = watched();
    watched.run(|| {
        let answer = monitor_inference(GPT, async { Answer::Ok("four words of text") })
            .usage(|answer: &&str| Tokens::new(7, answer.split(' ').count() as u64));
        assert_eq!(now(answer).unwrap(), "four words of text");
        let failed = monitor_inference(GPT, async { Answer::Err(broken()) })
            .classify(|_: &std::io::Error| "connection_reset");
        assert!(now(failed).is_err());
        let slow = monitor_inference(GPT, async { Answer::Err(broken()) })
            .classify(|_: &std::io::Error| "timeout");
        assert!(now(slow).is_err());
        // Polled once and then dropped.
        let mut given_up = Box::pin(monitor_inference(GPT, std::future::pending::<Answer>()));
        assert!(given_up.as_mut().now_or_never().is_none());
        watched.check(&[(&format!("llm_router_active_inferences{LABELS}"), 1.0)]);
        drop(given_up);
        let body = r#"{"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
        let whole = monitor_inference(GPT, async { Ok::<_, Infallible>(body) }).usage(OpenAi);
        now(whole).unwrap();
    });
    watched.check_outcomes([2, 1, 1, 1, 0]);
    watched.check(&[
        (&format!("llm_router_tokens_generated_total{LABELS}"), 6.0),
        (&format!("llm_router_prompt_tokens_total{LABELS}"), 8.0),
        (
            r#"llm_router_errors_total{component="inference",error_type="connection_reset"}"#,
            1.0,
        ),
        (
            r#"llm_router_errors_total{component="inference",error_type="timeout"}"#,
            1.0,
        ),
    ]);
    check_source(&watched, "provider", 2.0);
}

#[test]
fn a_span_closes_when_its_future_is_ready_and_not_when_it_is_dropped() {
    let watched = watched();
    watched.run(|| {
        let mut call = Box::pin(monitor_inference(GPT, async { Answer::Ok("done") }));
        now(call.as_mut()).unwrap();
        watched.check(&[(&format!("llm_router_active_inferences{LABELS}"), 0.0)]);
        drop(call);
    });
    watched.check_outcomes([1, 0, 0, 0, 0]);
}

#[test]
fn a_stream_is_timed_by_its_content_and_counted_as_it_passes() {
    let watched = watched();
    watched.run(|| {
        let clock = watched.clock.clone();
        let chunks = stream::iter(["", "one ", "two ", "three"]).map(move |chunk| {
            clock.advance(Duration::from_millis(100));
            Ok::<_, Infallible>(chunk)
        });
        let counted = InferenceCall::new(GPT)
            .with_prompt_tokens(5)
            .begin()
            .stream(chunks, |chunk: &&str| u64::from(!chunk.is_empty()));
        let text: Vec<&str> = now(counted.map(Result::unwrap).collect());
        assert_eq!(text.concat(), "one two three");
    });
    watched.check_outcomes([1, 0, 0, 0, 0]);
    watched.check(&[
        (&format!("llm_router_tokens_generated_total{LABELS}"), 3.0),
        (&format!("llm_router_prompt_tokens_total{LABELS}"), 5.0),
        // The framing chunk came after 0.1 s, the first content after 0.2 s.
        (
            &format!("llm_router_time_to_first_token_seconds_sum{LABELS}"),
            0.2,
        ),
        (
            &format!("llm_router_time_per_output_token_seconds_sum{LABELS}"),
            0.1,
        ),
    ]);
    check_source(&watched, "counted", 1.0);
}

#[test]
fn a_stream_ends_once_however_it_ends() {
    let chunk = |text: &'static str| Ok::<_, std::io::Error>(Bytes::from_static(text.as_bytes()));
    let first = r#"data: {"choices":[{"delta":{"content":"a"}}]}

"#;
    let last = r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}]}

data: [DONE]

"#;
    let watched = watched();
    let begin = || InferenceCall::new(GPT).begin();
    watched.run(|| {
        // Dropped after the end marker: a client that knows the protocol does not read further.
        let mut whole = begin().stream(stream::iter([chunk(first), chunk(last)]), Sse::openai());
        let _ = (now(whole.next()), now(whole.next()));
        watched.check(&[(&format!("llm_router_active_inferences{LABELS}"), 0.0)]);
        drop(whole);
        // Dropped before the end marker.
        let mut left = begin().stream(stream::iter([chunk(first), chunk(last)]), Sse::openai());
        let _ = now(left.next());
        drop(left);
        // Ended before the end marker.
        let short = begin().stream(stream::iter([chunk(first)]), Sse::openai());
        let _: Vec<_> = now(short.collect());
        // Failed in the middle, and polled again.
        let mut failed = begin()
            .stream(
                stream::iter([chunk(first), Err(broken()), chunk(last)]),
                Sse::openai(),
            )
            .classify(|_: &std::io::Error| "connection_reset");
        let _ = now(failed.next());
        assert!(now(failed.next()).unwrap().is_err());
        assert!(now(failed.next()).is_none());
        assert_eq!(failed.progress().usage_so_far().output, Some(1));
        // Never polled.
        drop(begin().stream(stream::iter([chunk(first)]), Sse::openai()));
        // Failed by an error event of the provider.
        let refused = r#"data: {"error":{"message":"no","type":"server_error","code":null}}

"#;
        let refused = begin().stream(stream::iter([chunk(first), chunk(refused)]), Sse::openai());
        let _: Vec<_> = now(refused.collect());
    });
    watched.check_outcomes([1, 3, 0, 2, 0]);
    watched.check(&[
        (&format!("llm_router_tokens_generated_total{LABELS}"), 5.0),
        (
            r#"llm_router_errors_total{component="inference",error_type="truncated"}"#,
            1.0,
        ),
        (
            r#"llm_router_errors_total{component="inference",error_type="connection_reset"}"#,
            1.0,
        ),
        (
            r#"llm_router_errors_total{component="inference",error_type="server_error"}"#,
            1.0,
        ),
    ]);
}

#[test]
fn a_panic_inside_a_stream_is_the_inferences_error() {
    let watched = watched();
    watched.run(|| {
        let chunks = stream::poll_fn(|_| -> std::task::Poll<Option<Result<u8, Infallible>>> {
            panic!("on purpose");
        });
        let mut stream = InferenceCall::new(GPT).begin().stream(chunks, |_: &u8| 1);
        let panicked =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| now(stream.next())));
        assert!(panicked.is_err());
        drop(stream);
    });
    watched.check_outcomes([0, 1, 0, 0, 0]);
}

#[test]
fn attributes_of_the_conventions_are_labels_and_a_provider_names_its_model() {
    let watched = watched();
    watched.run(|| {
        let call = InferenceCall::new(GPT).with_gen_ai(GenAi {
            operation: "chat",
            provider: "azure.ai.openai",
            server_address: "example.com",
            ..GenAi::default()
        });
        let inference = call.begin();
        inference.queued(Duration::from_secs(2));
        inference.answered_by("gpt-4o-2024-08-06");
        inference.succeed();
    });
    let text = watched.text();
    for label in [
        r#"gen_ai_provider_name="azure.ai.openai""#,
        r#"gen_ai_response_model="gpt-4o-2024-08-06""#,
        r#"server_address="example.com""#,
    ] {
        let series = "gen_ai_client_operation_duration_seconds_count";
        assert_eq!(sum(&text, series, label), 1.0, "{label}");
    }
    assert_eq!(
        sum(&text, "llm_router_model_queue_duration_seconds_sum", ""),
        2.0
    );
}

#[cfg(feature = "http")]
#[test]
fn a_body_is_monitored_like_a_stream() {
    use http_body_util::{BodyExt as _, Full};
    let watched = watched();
    watched.run(|| {
        let text =
            "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n";
        let body = Full::new(Bytes::from_static(text.as_bytes()));
        let mut body = InferenceCall::new(GPT).begin().stream(body, Sse::openai());
        // A server does not poll further than this.
        let frame = now(body.frame()).unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), text);
        watched.check(&[(&format!("llm_router_active_inferences{LABELS}"), 0.0)]);
    });
    watched.check_outcomes([1, 0, 0, 0, 0]);
}

#[test]
fn operations_are_counted_by_how_they_ended() {
    let watched = watched();
    watched.run(|| {
        now(monitor_database("SELECT", "users", async {
            Answer::Ok("row")
        }))
        .unwrap();
        let failed = monitor_database("INSERT", "users", async { Answer::Err(broken()) })
            .classify(|_: &std::io::Error| "connection_reset");
        assert!(now(failed).is_err());
        assert!(observe_database("SELECT", "users", || Answer::Err(broken())).is_err());
        now(monitor_queue("jobs", "publish", async {
            Answer::Ok("sent")
        }))
        .unwrap();
        drop(monitor_queue(
            "jobs",
            "receive",
            std::future::pending::<Answer>(),
        ));
        now(monitor_cache("get", "response", async { Some(1) }));
        now(monitor_cache("get", "response", async {
            Ok::<_, Infallible>(None::<u8>)
        }))
        .unwrap();
        let _ = observe_cache("get", "response", || Err::<Option<u8>, _>(broken()));
        observe_cache("set", "response", || ());
        cache_size("response", 4096);
        begin_routing("cheapest").selected("gpt-4o", "lowest_price");
        begin_routing("cheapest").fail("no_model");
        drop(begin_routing("cheapest"));
        now(monitor_model_load(GPT, async { Answer::Ok("loaded") })).unwrap();
        now(monitor_model_load(GPT, async { Answer::Ok("loaded") })).unwrap();
        now(monitor_model_unload(GPT, async { Answer::Ok("gone") })).unwrap();
        assert!(now(monitor_model_unload(GPT, async { Answer::Err(broken()) })).is_err());
        model_quality(GPT, 0.9);
        response_similarity(GPT, "gpt-4o-mini", 0.8);
        let open = ConnectionGuard::open("websocket");
        watched.check(&[(
            r#"llm_router_active_connections{connection_type="websocket"}"#,
            1.0,
        )]);
        drop(open);
    });
    let database = "llm_router_database_operation_duration_seconds_count";
    watched.check(&[
        (&format!(r#"{database}{{operation="SELECT",status="success",table="users"}}"#), 1.0),
        (&format!(r#"{database}{{operation="INSERT",status="error",table="users"}}"#), 1.0),
        (r#"llm_router_errors_total{component="database",error_type="connection_reset"}"#, 1.0),
        (r#"llm_router_queue_operation_duration_seconds_count{operation="publish",queue="jobs",status="success"}"#, 1.0),
        (r#"llm_router_queue_operation_duration_seconds_count{operation="receive",queue="jobs",status="cancelled"}"#, 1.0),
        (r#"llm_router_cache_operations_total{cache_type="response",operation="get",status="hit"}"#, 1.0),
        (r#"llm_router_cache_operations_total{cache_type="response",operation="get",status="miss"}"#, 1.0),
        (r#"llm_router_cache_operations_total{cache_type="response",operation="get",status="error"}"#, 1.0),
        (r#"llm_router_cache_operations_total{cache_type="response",operation="set",status="hit"}"#, 1.0),
        (r#"llm_router_cache_size_bytes{cache_type="response"}"#, 4096.0),
        (r#"llm_router_routing_decisions_total{reason="lowest_price",selected_model="gpt-4o",strategy="cheapest"}"#, 1.0),
        (r#"llm_router_route_selection_duration_seconds_count{strategy="cheapest"}"#, 3.0),
        (r#"llm_router_errors_total{component="routing",error_type="no_model"}"#, 1.0),
        (r#"llm_router_loaded_models{model_type="transformer"}"#, 1.0),
        (&format!("llm_router_model_quality_score{LABELS}"), 0.9),
        (r#"llm_router_active_connections{connection_type="websocket"}"#, 0.0),
    ]);
    assert_eq!(
        sum(&watched.text(), "llm_router_routing_decisions_total", ""),
        1.0
    );
    assert_eq!(
        sum(
            &watched.text(),
            "llm_router_response_similarity_sum",
            "gpt-4o-mini"
        ),
        0.8
    );
}

#[test]
fn without_a_subscriber_everything_passes_unchanged() {
    let call = monitor_inference(GPT, async { Answer::Ok("same") });
    assert_eq!(now(call).unwrap(), "same");
    let chunks = stream::iter([Ok::<_, Infallible>("a")]);
    let stream = InferenceCall::new(GPT).begin().stream(chunks, |_: &&str| 1);
    assert_eq!(now(stream.count()), 1);
}

#[test]
fn a_spawned_task_does_not_delay_the_end_of_its_inference() {
    let watched = watched();
    let mut outlive = Vec::new();
    watched.run(|| {
        let inference = InferenceCall::new(GPT).begin();
        let routing = begin_routing("cheapest");
        let open = ConnectionGuard::open("websocket");
        for span in [inference.span(), routing.span(), open.span()] {
            outlive.push(span.clone());
            outlive.push(tracing::info_span!(parent: span, "background"));
        }
        let lookup = monitor_database("SELECT", "users", async {
            Ok::<_, Infallible>(tracing::info_span!("background"))
        });
        outlive.push(now(lookup).unwrap());
        watched.clock.advance(Duration::from_secs(1));
        inference.succeed();
        routing.selected("gpt-4o", "lowest_price");
        drop(open);
        watched.clock.advance(Duration::from_mins(1));
        watched.check(&[
            (&format!("llm_router_active_inferences{LABELS}"), 0.0),
            (
                r#"llm_router_active_connections{connection_type="websocket"}"#,
                0.0,
            ),
        ]);
        outlive.clear();
    });
    watched.check_outcomes([1, 0, 0, 0, 0]);
    let text = watched.text();
    for (metric, count, seconds) in [
        ("llm_router_model_inference_duration_seconds", 1.0, 1.0),
        ("llm_router_route_selection_duration_seconds", 1.0, 1.0),
        ("llm_router_database_operation_duration_seconds", 1.0, 0.0),
    ] {
        assert_eq!(
            sum(&text, &format!("{metric}_count"), ""),
            count,
            "{metric}"
        );
        assert_eq!(
            sum(&text, &format!("{metric}_sum"), ""),
            seconds,
            "{metric}"
        );
    }
}
