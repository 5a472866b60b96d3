//! Tests the interpretation of spans as series.

use std::{collections::BTreeMap, fmt, panic::catch_unwind, time::Duration};

use llm_observatory::Mapping;
use tracing::{Instrument as _, Level, Span, error, field::Empty, info_span, instrument};

use super::support::{sum, watched};

const GPT: &str = r#"model_id="gpt-4o""#;

#[test]
fn fields_may_come_at_creation_or_later_in_any_order_and_type() {
    let watched = watched();
    watched.run(|| {
        let at_creation = info_span!("inference", tokens = 10_i64, engine = %"vllm", model_type = ?"moe", model_id = "gpt-4o", prompt_tokens = 7.0);
        drop(at_creation);
        let later = info_span!("inference", status = Empty, completion_tokens = Empty, input_tokens = Empty, engine = Empty, model_type = Empty, model_id = Empty);
        later.record("input_tokens", "7");
        later.record("completion_tokens", 10_u64);
        later.record("model_id", tracing::field::display("gpt-4o"));
        later.record("model_type", "moe");
        later.record("engine", tracing::field::debug("vllm"));
        later.record("status", "success");
        drop(later);
    });
    let model = r#"{engine="vllm",model_id="gpt-4o",model_type="moe"}"#;
    watched.check(&[
        (&format!("llm_router_tokens_generated_total{model}"), 20.0),
        (&format!("llm_router_prompt_tokens_total{model}"), 14.0),
        (
            &format!("llm_router_model_inference_duration_seconds_count{model}"),
            2.0,
        ),
    ]);
    watched.check_outcomes([2, 0, 0, 0, 0]);
}

#[test]
fn a_model_named_late_moves_the_inference_in_flight() {
    let watched = watched();
    watched.run(|| {
        let span = info_span!("inference", engine = "vllm", model_id = Empty);
        watched.check(&[(r#"llm_router_active_inferences{engine="vllm"}"#, 1.0)]);
        span.record("model_id", "gpt-4o");
        watched.check(&[
            (r#"llm_router_active_inferences{engine="vllm"}"#, 0.0),
            (
                r#"llm_router_active_inferences{engine="vllm",model_id="gpt-4o"}"#,
                1.0,
            ),
        ]);
    });
    watched.check_outcomes([1, 0, 0, 0, 0]);
}

#[test]
fn a_duration_is_the_time_from_creation_to_close() {
    let watched = watched();
    watched.run(|| {
        let span = info_span!("inference", model_id = "gpt-4o", tokens = 30);
        watched.clock.advance(Duration::from_secs(2));
        span.in_scope(|| watched.clock.advance(Duration::from_secs(1)));
    });
    watched.check(&[
        (
            &format!("llm_router_model_inference_duration_seconds_sum{{{GPT}}}"),
            3.0,
        ),
        (
            &format!("llm_router_model_inference_duration_seconds_bucket{{{GPT},le=\"2.0\"}}"),
            0.0,
        ),
        (
            &format!("llm_router_model_inference_duration_seconds_bucket{{{GPT},le=\"5.0\"}}"),
            1.0,
        ),
        (&format!("llm_router_tokens_per_second_sum{{{GPT}}}"), 10.0),
    ]);
}

#[instrument(name = "inference", skip_all, err, fields(model_id = "gpt-4o"))]
fn fails() -> Result<(), fmt::Error> {
    Err(fmt::Error)
}

#[instrument(name = "inference", skip_all, fields(model_id = "gpt-4o", status = Empty))]
fn succeeds() {
    Span::current().record("status", "success");
}

#[instrument(name = "inference", skip_all, fields(model_id = "gpt-4o"))]
fn panics() {
    panic!("on purpose");
}

#[test]
fn the_outcome_follows_status_errors_and_panics() {
    let watched = watched();
    watched.run(|| {
        succeeds();
        let _ = fails();
        let _ = catch_unwind(panics);
        drop(info_span!(
            "inference",
            model_id = "gpt-4o",
            status = "timeout"
        ));
        drop(info_span!(
            "inference",
            model_id = "gpt-4o",
            error.r#type = "timeout"
        ));
        drop(info_span!(
            "inference",
            model_id = "gpt-4o",
            error = "it broke"
        ));
        drop(info_span!("inference", model_id = "gpt-4o", error = false));
        drop(info_span!("inference", model_id = "gpt-4o", status = Empty));
        drop(info_span!(
            "inference",
            model_id = "gpt-4o",
            status = "canceled"
        ));
        drop(info_span!(
            "inference",
            model_id = "gpt-4o",
            status = "strange"
        ));
    });
    watched.check_outcomes([2, 3, 2, 2, 1]);
    watched.check(&[
        (
            r#"llm_router_errors_total{component="inference",error_type="panic"}"#,
            1.0,
        ),
        (
            r#"llm_router_errors_total{component="inference",error_type="timeout"}"#,
            2.0,
        ),
        (
            r#"llm_router_errors_total{component="inference",error_type="_OTHER"}"#,
            2.0,
        ),
        (
            r#"observatory_dropped_observations_total{reason="unknown_status"}"#,
            1.0,
        ),
    ]);
}

#[test]
fn a_dropped_future_is_cancelled_where_its_span_declares_a_status() {
    let watched = watched();
    watched.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let generate = async {
                tokio::time::sleep(Duration::from_mins(1)).await;
                Span::current().record("status", "success");
            };
            let call =
                generate.instrument(info_span!("inference", model_id = "gpt-4o", status = Empty));
            let _ = tokio::time::timeout(Duration::from_secs(1), call).await;
        });
    });
    watched.check_outcomes([0, 0, 0, 1, 0]);
}

#[test]
fn a_panic_in_a_task_is_the_error_of_its_own_inference_only() {
    let watched = watched();
    watched.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let bystander = info_span!("inference", model_id = "bystander", status = Empty);
            let task = async { panic!("on purpose") }
                .instrument(info_span!("inference", model_id = "gpt-4o"));
            assert!(
                tokio::task::LocalSet::new()
                    .run_until(async { tokio::task::spawn_local(task).await })
                    .await
                    .is_err()
            );
            bystander.record("status", "success");
        });
    });
    watched.check_outcomes([1, 1, 0, 0, 0]);
}

#[test]
fn a_span_that_a_destructor_opens_in_a_panic_is_no_error() {
    struct Cleanup;
    impl Drop for Cleanup {
        fn drop(&mut self) {
            info_span!("inference", model_id = "cleanup").in_scope(|| {});
            info_span!("cache", operation = "set", cache_type = "kv").in_scope(|| {});
        }
    }
    let watched = watched();
    watched.run(|| {
        let _ = catch_unwind(|| {
            let _cleanup = Cleanup;
            panic!("on purpose");
        });
    });
    watched.check_outcomes([1, 0, 0, 0, 0]);
    watched.check(&[(
        r#"llm_router_cache_operations_total{cache_type="kv",operation="set",status="error"}"#,
        0.0,
    )]);
}

#[test]
fn an_error_inside_is_the_spans_failure_once_and_one_outside_counts_by_itself() {
    let watched = watched();
    watched.run(|| {
        let span = info_span!("inference", model_id = "gpt-4o", error.r#type = Empty);
        span.in_scope(|| {
            info_span!("helper").in_scope(|| {
                error!(error.r#type = "rate_limited", "slow down");
                error!("again");
            });
        });
        drop(span);
        error!(error_type = "io", component = "disk", "outside");
        error!("outside, without fields");
    });
    watched.check_outcomes([0, 1, 0, 0, 0]);
    watched.check(&[
        (
            r#"llm_router_errors_total{component="inference",error_type="rate_limited"}"#,
            1.0,
        ),
        (
            r#"llm_router_errors_total{component="disk",error_type="io"}"#,
            1.0,
        ),
        (
            r#"llm_router_errors_total{component="it::layer",error_type="_OTHER"}"#,
            1.0,
        ),
    ]);
    assert_eq!(sum(&watched.text(), "llm_router_errors_total", ""), 3.0);
}

#[test]
fn the_error_type_cancelled_is_an_outcome_and_no_error() {
    let watched = watched();
    watched.run(|| {
        let recorded = info_span!("inference", model_id = "gpt-4o", error.r#type = Empty);
        recorded.record("error.type", "cancelled");
        drop(recorded);
        info_span!("inference", model_id = "gpt-4o").in_scope(|| {
            error!(error.r#type = "cancelled", "the client has gone");
        });
        drop(info_span!(
            "http_request",
            method = "POST",
            route = "/v1/chat/completions",
            error_type = "cancelled"
        ));
        // Outside of any operation.
        error!(error_type = "cancelled", "the client has gone");
    });
    watched.check_outcomes([0, 0, 0, 2, 0]);
    let text = watched.text();
    assert_eq!(sum(&text, "llm_router_errors_total", ""), 0.0, "{text}");
    assert!(!text.contains(r#"error_type="cancelled""#), "{text}");
    let durations = "gen_ai_client_operation_duration_seconds_count";
    assert_eq!(sum(&text, durations, ""), 2.0, "{text}");
    assert_eq!(sum(&text, durations, "error_type"), 0.0, "{text}");
}

#[test]
fn the_component_of_an_error_event_is_kept() {
    let watched = watched();
    watched.run(|| {
        info_span!("inference", model_id = "gpt-4o").in_scope(|| {
            error!(component = "tokenizer", "a token is unknown");
        });
        info_span!("http_request", method = "GET", route = "/").in_scope(|| {
            error!(error_type = "io", component = "disk", "the cache is full");
        });
    });
    watched.check(&[
        (
            r#"llm_router_errors_total{component="tokenizer",error_type="_OTHER"}"#,
            1.0,
        ),
        (
            r#"llm_router_errors_total{component="disk",error_type="io"}"#,
            1.0,
        ),
    ]);
}

#[test]
fn the_error_of_an_inner_inference_is_not_the_error_of_the_outer_request() {
    let watched = watched();
    watched.run(|| {
        let request = info_span!(
            "http_request",
            method = "POST",
            route = "/v1/chat/completions",
            status_code = 200
        );
        request.in_scope(|| {
            info_span!("inference", model_id = "gpt-4o")
                .in_scope(|| error!("failed, then retried elsewhere"));
        });
    });
    watched.check(&[
        (r#"llm_router_http_requests_total{method="POST",route="/v1/chat/completions",status_code="200"}"#, 1.0),
        (r#"llm_router_errors_total{component="http_request",error_type="200"}"#, 0.0),
        (r#"llm_router_errors_total{component="inference",error_type="_OTHER"}"#, 1.0),
    ]);
}

#[test]
fn the_other_kinds_are_recognised_by_their_names_and_fields() {
    let watched = watched();
    watched.run(|| {
        drop(info_span!(
            "model_load",
            model_id = "gpt-4o",
            model_type = "transformer",
            engine = "vllm"
        ));
        drop(info_span!(
            "cache",
            operation = "get",
            cache_type = "kv",
            hit = true
        ));
        drop(info_span!(
            "cache",
            operation = "get",
            cache_type = "kv",
            status = "miss"
        ));
        drop(info_span!(
            "db_query",
            operation = "SELECT",
            table = "users"
        ));
        drop(info_span!(
            "anything",
            db.operation.name = "INSERT",
            db.collection.name = "users"
        ));
        drop(info_span!("queue", queue = "jobs", operation = "publish"));
        drop(info_span!(
            "route_selection",
            strategy = "cheapest",
            selected_model = "gpt-4o",
            reason = "price"
        ));
        drop(info_span!(
            "http_request",
            method = "GET",
            route = "/a",
            status = 404
        ));
        drop(info_span!(
            "served",
            http.request.method = "GET",
            http.route = "/b",
            http.response.status_code = 204_u16
        ));
        drop(info_span!(
            "called",
            http.request.method = "GET",
            http.route = "/upstream",
            otel.kind = "client"
        ));
        drop(info_span!(
            "chat",
            gen_ai.operation.name = "chat",
            gen_ai.request.model = "claude",
            gen_ai.provider.name = "anthropic",
            gen_ai.usage.output_tokens = 5
        ));
        drop(info_span!(
            "mine",
            observatory.kind = "inference",
            model_id = "by-kind"
        ));
        let connection = info_span!("connection", connection_type = "websocket");
        watched.check(&[(
            r#"llm_router_active_connections{connection_type="websocket"}"#,
            1.0,
        )]);
        drop(connection);
    });
    watched.check(&[
        (r#"llm_router_loaded_models{model_type="transformer"}"#, 1.0),
        (r#"llm_router_cache_operations_total{cache_type="kv",operation="get",status="hit"}"#, 1.0),
        (r#"llm_router_cache_operations_total{cache_type="kv",operation="get",status="miss"}"#, 1.0),
        (r#"llm_router_database_operation_duration_seconds_count{operation="SELECT",status="success",table="users"}"#, 1.0),
        (r#"llm_router_database_operation_duration_seconds_count{operation="INSERT",status="success",table="users"}"#, 1.0),
        (r#"llm_router_queue_operation_duration_seconds_count{operation="publish",queue="jobs",status="success"}"#, 1.0),
        (r#"llm_router_routing_decisions_total{reason="price",selected_model="gpt-4o",strategy="cheapest"}"#, 1.0),
        (r#"llm_router_http_requests_total{method="GET",route="/a",status_code="404"}"#, 1.0),
        (r#"llm_router_http_requests_total{method="GET",route="/b",status_code="204"}"#, 1.0),
        (r#"llm_router_model_inference_total{engine="anthropic",model_id="claude",status="success"}"#, 1.0),
        (r#"llm_router_tokens_generated_total{engine="anthropic",model_id="claude"}"#, 5.0),
        (r#"llm_router_model_inference_total{model_id="by-kind",status="success"}"#, 1.0),
        (r#"llm_router_active_connections{connection_type="websocket"}"#, 0.0),
    ]);
    assert!(!watched.text().contains("upstream"));
}

#[test]
fn names_of_the_applications_own_can_be_mapped() {
    let mut mapping = Mapping::default();
    mapping.spans = BTreeMap::from([("generate".to_owned(), "inference".to_owned())]);
    mapping.fields = BTreeMap::from([("llm".to_owned(), "model_id".to_owned())]);
    let watched = watched().with_mapping(mapping);
    watched.run(|| drop(info_span!("generate", llm = "gpt-4o")));
    watched.check(&[(
        r#"llm_router_model_inference_total{model_id="gpt-4o",status="success"}"#,
        1.0,
    )]);
}

#[test]
fn impossible_numbers_are_dropped_and_counted() {
    let watched = watched();
    watched.run(|| {
        drop(info_span!(
            "inference",
            model_id = "gpt-4o",
            tokens = -5,
            prompt_tokens = f64::NAN,
            cached_tokens = "many",
            queue_seconds = -0.5
        ));
        drop(info_span!("inference", model_id = "m".repeat(1 << 20)));
    });
    let dropped = |reason: &str| {
        watched.value(&format!(
            "observatory_dropped_observations_total{{reason=\"{reason}\"}}"
        ))
    };
    assert_eq!(
        ["negative", "not_a_number", "not_numeric", "truncated"].map(dropped),
        [2.0, 1.0, 1.0, 1.0]
    );
    watched.check_outcomes([2, 0, 0, 0, 0]);
    watched.check(&[(&format!("llm_router_tokens_generated_total{{{GPT}}}"), 0.0)]);
    assert!(
        watched
            .text()
            .contains(&format!("model_id=\"{}\"", "m".repeat(512)))
    );
}

#[test]
fn explicit_parents_and_many_threads_are_supported() {
    let watched = watched();
    let subscriber = tracing::Dispatch::new(tracing_subscriber::Registry::default());
    drop(subscriber);
    watched.run(|| {
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let root = info_span!(parent: None, "inference", model_id = "gpt-4o", tokens = Empty);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let (root, dispatch) = (root.clone(), dispatch.clone());
                scope.spawn(move || {
                    tracing::dispatcher::with_default(&dispatch, || {
                        root.in_scope(|| {
                            drop(info_span!(parent: &root, "inference", model_id = "child"));
                        });
                        tracing::info!(name: "token", parent: &root, count = 3);
                    });
                });
            }
        });
        drop(root);
    });
    watched.check_outcomes([5, 0, 0, 0, 0]);
    watched.check(&[(&format!("llm_router_tokens_generated_total{{{GPT}}}"), 12.0)]);
}

/// A value whose `Debug` opens spans, emits events and records.
struct Meddler;

impl fmt::Debug for Meddler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Span::current().record("tokens", 1);
        drop(info_span!("inference", model_id = "from-debug"));
        error!(
            error_type = "from-debug",
            component = "meddler",
            "from inside"
        );
        tracing::info!(monotonic_counter.meddled = 1, who = "debug");
        f.write_str("gpt-4o")
    }
}

/// A value whose `Debug` panics.
struct Bomb;

impl fmt::Debug for Bomb {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("on purpose");
    }
}

#[test]
fn a_debug_that_reenters_or_panics_does_no_harm() {
    let watched = watched();
    watched.run(|| {
        let span = info_span!("inference", model_id = ?Meddler, engine = Empty, tokens = Empty);
        span.in_scope(|| {
            span.record("engine", tracing::field::debug(Meddler));
        });
        drop(span);
        drop(info_span!("inference", model_id = ?Bomb, tokens = 3));
        drop(info_span!("http_request", route = ?Meddler, method = ?Bomb));
        tracing::info!(gauge.depth = 1.0, who = ?Bomb);
        tracing::info!("{:?}", Bomb);
    });
    watched.check(&[
        (
            r#"observatory_dropped_observations_total{reason="panicking_field"}"#,
            3.0,
        ),
        ("depth", 1.0),
    ]);
    // The inference ended once. Its outcome depends on the other tests: whether tracing passes the inner error to a
    // scoped subscriber depends on the interest that their subscribers left at the callsite. tests/install.rs covers
    // the global subscriber.
    let ended = sum(
        &watched.text(),
        "llm_router_model_inference_total",
        r#"engine="gpt-4o",model_id="gpt-4o""#,
    );
    assert_eq!(ended, 1.0);
}

#[test]
fn spans_that_are_never_closed_stay_in_flight_and_in_bounds() {
    let watched = watched();
    watched.run(|| {
        for _ in 0..100_000 {
            std::mem::forget(info_span!("inference", model_id = "gpt-4o"));
        }
    });
    let in_flight = watched.value(&format!("llm_router_active_inferences{{{GPT}}}"));
    let refused =
        watched.value(r#"observatory_dropped_observations_total{reason="too_many_open_spans"}"#);
    assert_eq!(in_flight + refused, 100_000.0);
    assert!((65_536.0..70_000.0).contains(&in_flight), "{in_flight}");
}

#[test]
fn an_exemplar_names_the_trace_that_was_recorded() {
    let watched = watched();
    watched.run(|| {
        let span = tracing::span!(
            Level::INFO,
            "inference",
            model_id = "gpt-4o",
            trace_id = "4bf92f3577b34da6a3ce929d0e0e4736",
            span_id = "00f067aa0ba902b7"
        );
        watched.clock.advance(Duration::from_millis(20));
        drop(span);
    });
    let text = watched
        .registry
        .render(llm_observatory::Format::OpenMetrics);
    assert!(
        text.contains(r#"{model_id="gpt-4o",le="0.05"} 1 # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736",span_id="00f067aa0ba902b7"} 0.02 "#),
        "{text}"
    );
}
