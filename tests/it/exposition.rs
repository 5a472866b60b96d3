//! Tests whole expositions.

use std::time::Duration;

use llm_observatory::{Format, Model, Observation, Sink as _, Tokens};

use super::support::watched;

/// Records one observation of each kind, and compares the metrics that have a source.
#[test]
fn one_observation_of_each_kind_shows_the_metrics_of_the_contract() {
    use llm_observatory::{
        CacheOperation, DatabaseOperation, ErrorEvent, HttpRequest, Inference, ModelLoad,
        QueueOperation, RoutingDecision,
    };
    let watched = watched();
    let sink = llm_observatory::MetricsSink::new(
        watched.registry.clone(),
        llm_observatory::SinkOptions::default(),
    );
    let model = Model::new("gpt-4o", "transformer", "openai");
    let second = Duration::from_secs(1);
    let inference = Inference::new(model, 2 * second)
        .with_tokens(Tokens::new(9, 5).with_cached(3))
        .with_time_to_first_token(second);
    let observations: [Observation<'_>; 9] = [
        inference.into(),
        ModelLoad {
            model,
            duration: second,
            ..ModelLoad::default()
        }
        .into(),
        HttpRequest {
            method: "GET",
            route: "/",
            status_code: Some(200),
            request_size: Some(1),
            response_size: Some(2),
            ..HttpRequest::default()
        }
        .into(),
        CacheOperation {
            operation: "get",
            cache_type: "kv",
            ..CacheOperation::default()
        }
        .into(),
        DatabaseOperation {
            operation: "SELECT",
            table: "t",
            ..DatabaseOperation::default()
        }
        .into(),
        QueueOperation {
            queue: "q",
            operation: "publish",
            ..QueueOperation::default()
        }
        .into(),
        RoutingDecision {
            strategy: "s",
            selected_model: "m",
            reason: "r",
            ..RoutingDecision::default()
        }
        .into(),
        ErrorEvent {
            error_type: "io",
            component: "disk",
        }
        .into(),
        Observation::Connection {
            connection_type: "http",
            is_open: true,
        },
    ];
    for observation in &observations {
        sink.record(observation);
    }
    let text = watched.registry.render(Format::Prometheus);
    for name in [
        "http_requests_total",
        "http_request_duration_seconds",
        "http_request_size_bytes",
        "http_response_size_bytes",
        "model_inference_total",
        "model_inference_duration_seconds",
        "model_loading_duration_seconds",
        "tokens_generated_total",
        "tokens_per_second",
        "active_connections",
        "loaded_models",
        "errors_total",
        "cache_operations_total",
        "cache_operation_duration_seconds",
        "database_operation_duration_seconds",
        "queue_operation_duration_seconds",
        "routing_decisions_total",
        "route_selection_duration_seconds",
        "time_to_first_token_seconds",
        "time_per_output_token_seconds",
        "active_inferences",
        "prompt_tokens_total",
        "cached_tokens_total",
        "token_source_total",
    ] {
        assert!(
            text.contains(&format!("# TYPE llm_router_{name} ")),
            "{name} is not in\n{text}"
        );
    }
}

#[test]
fn two_renders_of_the_same_state_are_the_same() {
    let watched = watched();
    watched.run(|| {
        for model in ["b", "a", "c"] {
            drop(tracing::info_span!(
                "inference",
                model_id = model,
                engine = "e"
            ));
        }
    });
    for format in [Format::Prometheus, Format::OpenMetrics, Format::Json] {
        assert_eq!(
            watched.registry.render(format),
            watched.registry.render(format)
        );
    }
    assert!(
        watched
            .registry
            .render(Format::OpenMetrics)
            .ends_with("\n# EOF\n")
    );
}
