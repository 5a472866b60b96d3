use std::time::Duration;

use super::*;
use crate::observation::{HttpRequest, Model, Outcome};
use crate::{
    metrics::{
        RegistryOptions,
        exposition::{Format, Moment, to_string},
    },
    observation::{
        CacheOperation, CacheResult, CustomKind, CustomMetric, GenAi, Inference, ModelLoad, Tokens,
    },
};

const GPT: Model<'static> = Model::new("gpt-4o", "transformer", "openai");

/// Returns the exposition after these observations.
fn exposition(observations: &[Observation<'_>], options: SinkOptions) -> String {
    let registry = Registry::new(RegistryOptions {
        series_limit: options.series_limit,
        ..RegistryOptions::default()
    })
    .unwrap();
    let sink = MetricsSink::new(registry.clone(), options);
    for observation in observations {
        sink.record(observation);
    }
    to_string(&registry, Format::Prometheus, &Moment::default())
}

/// Each of the lines is written after these observations.
fn check(observations: &[Observation<'_>], lines: &[&str]) {
    let text = exposition(observations, SinkOptions::default());
    for line in lines {
        assert!(
            text.lines().any(|written| written == *line),
            "{line} is not in\n{text}"
        );
    }
}

fn streamed() -> Inference<'static> {
    Inference::new(GPT, Duration::from_secs(2))
        .with_tokens(Tokens::new(100, 11))
        .with_time_to_first_token(Duration::from_secs(1))
}

#[test]
fn an_inference_feeds_the_seeds_series_and_the_conventions() {
    let model = r#"engine="openai",model_id="gpt-4o",model_type="transformer""#;
    let gen_ai = r#"gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o""#;
    check(
        &[streamed().into()],
        &[
            &format!(r#"llm_router_model_inference_total{{{model},status="success"}} 1"#),
            &format!(r#"llm_router_model_inference_total{{{model},status="cancelled"}} 0"#),
            &format!("llm_router_model_inference_duration_seconds_sum{{{model}}} 2"),
            &format!("llm_router_tokens_generated_total{{{model}}} 11"),
            &format!("llm_router_prompt_tokens_total{{{model}}} 100"),
            &format!("llm_router_tokens_per_second_sum{{{model}}} 5.5"),
            &format!("llm_router_time_to_first_token_seconds_sum{{{model}}} 1"),
            &format!("llm_router_time_per_output_token_seconds_sum{{{model}}} 0.1"),
            &format!(r#"llm_router_token_source_total{{{model},source="provider"}} 1"#),
            &format!("gen_ai_client_operation_duration_seconds_sum{{{gen_ai}}} 2"),
            r#"gen_ai_client_token_usage_sum{gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o",gen_ai_token_type="input"} 100"#,
            &format!("gen_ai_client_operation_time_to_first_chunk_seconds_sum{{{gen_ai}}} 1"),
            r#"observatory_observations_total{kind="inference"} 1"#,
        ],
    );
}

#[test]
fn a_failure_counts_once_as_an_error_and_its_duration_says_why() {
    let failed = Inference {
        gen_ai: GenAi {
            error_type: "rate_limited",
            ..GenAi::default()
        },
        ..Inference::new(GPT, Duration::from_secs(1)).with_outcome(Outcome::Error)
    };
    check(
        &[failed.into()],
        &[
            r#"llm_router_errors_total{component="inference",error_type="rate_limited"} 1"#,
            r#"gen_ai_client_operation_duration_seconds_count{error_type="rate_limited",gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o"} 1"#,
        ],
    );
    let cancelled = Inference::new(GPT, Duration::from_secs(1)).with_outcome(Outcome::Cancelled);
    let text = exposition(&[cancelled.into()], SinkOptions::default());
    assert!(!text.contains("errors_total"), "{text}");
}

#[test]
fn a_server_has_the_servers_metrics_of_the_conventions() {
    let text = exposition(
        &[streamed().into()],
        SinkOptions {
            gen_ai: Some(Side::Server),
            ..SinkOptions::default()
        },
    );
    for name in [
        "gen_ai_server_request_duration_seconds_count",
        "gen_ai_server_time_to_first_token_seconds_count",
        "gen_ai_server_time_per_output_token_seconds_count",
    ] {
        assert!(text.contains(name), "{name}");
    }
    assert!(!text.contains("gen_ai_client"));
    assert!(
        !exposition(
            &[streamed().into()],
            SinkOptions {
                gen_ai: None,
                ..SinkOptions::default()
            }
        )
        .contains("gen_ai_")
    );
}

#[test]
fn a_tool_call_is_an_operation_but_no_inference() {
    let tool = Inference {
        gen_ai: GenAi {
            operation: "execute_tool",
            ..GenAi::default()
        },
        ..Inference::new(GPT, Duration::from_secs(1))
    };
    let text = exposition(&[tool.into()], SinkOptions::default());
    assert!(text.contains(
        r#"gen_ai_client_operation_duration_seconds_count{gen_ai_operation_name="execute_tool""#
    ));
    assert!(!text.contains("model_inference_total"));
}

#[test]
fn unknown_numbers_are_not_recorded_as_0() {
    let text = exposition(
        &[Inference::new(GPT, Duration::from_secs(1)).into()],
        SinkOptions::default(),
    );
    assert!(!text.contains("token_source_total") && !text.contains("gen_ai_client_token_usage"));
}

#[test]
fn http_requests_are_counted_by_what_http_defines() {
    let request = |method, status_code, outcome| HttpRequest {
        method,
        route: "/v1/models",
        status_code,
        outcome,
        duration: Duration::from_millis(20),
        response_size: Some(512),
        ..HttpRequest::default()
    };
    check(
        &[
            request("get", Some(200), Outcome::Success).into(),
            request("BREW", Some(503), Outcome::Success).into(),
            request("GET", None, Outcome::Cancelled).into(),
            request("GET", Some(7), Outcome::Success).into(),
        ],
        &[
            r#"llm_router_http_requests_total{method="GET",route="/v1/models",status_code="200"} 1"#,
            r#"llm_router_http_requests_total{method="_OTHER",route="/v1/models",status_code="503"} 1"#,
            r#"llm_router_http_requests_total{method="GET",route="/v1/models",status_code="499"} 1"#,
            r#"llm_router_http_requests_total{method="GET",route="/v1/models",status_code="unknown"} 1"#,
            r#"llm_router_http_response_size_bytes_bucket{method="GET",route="/v1/models",status_code="200",le="1000.0"} 1"#,
            r#"llm_router_errors_total{component="http_request",error_type="503"} 1"#,
        ],
    );
}

#[test]
fn the_other_kinds_feed_their_series() {
    let get = CacheOperation {
        operation: "get",
        cache_type: "response",
        result: CacheResult::Hit,
        ..CacheOperation::default()
    };
    let load = ModelLoad {
        model: GPT,
        duration: Duration::from_secs(7),
        ..ModelLoad::default()
    };
    check(
        &[
            get.into(),
            Observation::CacheSize {
                cache_type: "response",
                bytes: 99,
            },
            load.into(),
            Observation::ModelUnload {
                model_type: "never-loaded",
            },
            Observation::Connection {
                connection_type: "http",
                is_open: true,
            },
            Observation::ModelQuality {
                model: GPT,
                score: 0.5,
            },
            Observation::ModelQuality {
                model: GPT,
                score: 1.5,
            },
            CustomMetric {
                name: "jobs.done",
                kind: CustomKind::MonotonicCounter,
                value: 1.5,
                labels: &[("kind", "a")],
            }
            .into(),
        ],
        &[
            r#"llm_router_cache_operations_total{cache_type="response",operation="get",status="hit"} 1"#,
            r#"llm_router_cache_operations_total{cache_type="response",operation="get",status="miss"} 0"#,
            r#"llm_router_cache_size_bytes{cache_type="response"} 99"#,
            r#"llm_router_loaded_models{model_type="transformer"} 1"#,
            r#"llm_router_loaded_models{model_type="never-loaded"} 0"#,
            r#"llm_router_active_connections{connection_type="http"} 1"#,
            r#"llm_router_model_quality_score{engine="openai",model_id="gpt-4o",model_type="transformer"} 0.5"#,
            r#"observatory_dropped_observations_total{reason="out_of_range"} 1"#,
            r#"jobs_done_total{kind="a"} 1.5"#,
        ],
    );
}

#[test]
fn models_beyond_the_limit_fold_and_no_count_is_lost() {
    let ids: Vec<String> = (0..50).map(|id| format!("model-{id}")).collect();
    let observations: Vec<Observation<'_>> = ids
        .iter()
        .map(|id| Inference::new(Model::new(id, "t", "e"), Duration::from_secs(1)).into())
        .collect();
    let text = exposition(
        &observations,
        SinkOptions {
            series_limit: 10,
            ..SinkOptions::default()
        },
    );
    let total: f64 = text
        .lines()
        .filter(|line| line.starts_with("llm_router_model_inference_total{"))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum();
    assert_eq!(total, 50.0);
    assert!(text.contains(r#"model_id="_other""#));
    assert!(text.contains(
        r#"observatory_series_overflowed_total{metric="llm_router_model_inference_total"}"#
    ));
}
