//! Tests events: tokens, metrics, sizes and scores.

use std::time::Duration;

use tracing::{field::Empty, info, info_span};

use super::support::watched;

const GPT: &str = r#"model_id="gpt-4o""#;

#[test]
fn token_events_give_time_to_first_token_gaps_and_a_count() {
    let watched = watched();
    watched.run(|| {
        let span = info_span!("inference", model_id = "gpt-4o", status = Empty);
        let _entered = span.enter();
        watched.clock.advance(Duration::from_millis(500));
        info!("first_token");
        for _ in 0..5 {
            info!("token");
            watched.clock.advance(Duration::from_millis(100));
        }
        info!(name: "token", count = 6);
        info!("tokens are nice");
    });
    let gen_ai = r#"gen_ai_operation_name="chat",gen_ai_provider_name="_OTHER",gen_ai_request_model="gpt-4o""#;
    watched.check_outcomes([0, 0, 0, 1, 0]);
    watched.check(&[
        (
            &format!("llm_router_time_to_first_token_seconds_sum{{{GPT}}}"),
            0.5,
        ),
        (&format!("llm_router_tokens_generated_total{{{GPT}}}"), 11.0),
        (
            &format!("llm_router_time_per_output_token_seconds_sum{{{GPT}}}"),
            0.05,
        ),
        (
            &format!("llm_router_token_source_total{{{GPT},source=\"counted\"}}"),
            1.0,
        ),
        (
            &format!("gen_ai_client_operation_time_to_first_chunk_seconds_sum{{{gen_ai}}}"),
            0.5,
        ),
        (
            &format!("gen_ai_client_operation_time_per_output_chunk_seconds_count{{{gen_ai}}}"),
            5.0,
        ),
        (
            &format!("gen_ai_client_operation_time_per_output_chunk_seconds_sum{{{gen_ai}}}"),
            0.5,
        ),
    ]);
}

#[test]
fn counts_of_the_provider_take_precedence_over_counted_tokens() {
    let watched = watched();
    watched.run(|| {
        let span = info_span!("inference", model_id = "gpt-4o", completion_tokens = Empty);
        span.in_scope(|| info!("token"));
        span.record("completion_tokens", 40);
    });
    watched.check(&[
        (&format!("llm_router_tokens_generated_total{{{GPT}}}"), 40.0),
        (
            &format!("llm_router_token_source_total{{{GPT},source=\"provider\"}}"),
            1.0,
        ),
    ]);
}

#[test]
fn a_stream_that_fails_keeps_its_tokens_and_its_time_to_first_token() {
    let watched = watched();
    watched.run(|| {
        let span = info_span!("inference", model_id = "gpt-4o", error.r#type = Empty);
        let _entered = span.enter();
        watched.clock.advance(Duration::from_millis(500));
        info!(name: "token", count = 3);
        span.record("error.type", "rate_limited");
    });
    watched.check_outcomes([0, 1, 0, 0, 0]);
    watched.check(&[
        (&format!("llm_router_tokens_generated_total{{{GPT}}}"), 3.0),
        (
            &format!("llm_router_time_to_first_token_seconds_sum{{{GPT}}}"),
            0.5,
        ),
        (
            r#"llm_router_errors_total{component="inference",error_type="rate_limited"}"#,
            1.0,
        ),
    ]);
}

#[test]
fn metric_events_become_metrics_with_their_other_fields_as_labels() {
    let watched = watched();
    watched.run(|| {
        info!(
            monotonic_counter.jobs = 2_u64,
            histogram.job_seconds = 0.3,
            kind = "import",
            worker = 7,
            ok = true,
            "done"
        );
        info!(
            monotonic_counter.jobs = 1.5,
            kind = "import",
            worker = 7,
            ok = true
        );
        info!(
            monotonic_counter.jobs = -1,
            kind = "import",
            worker = 7,
            ok = true
        );
        info!(counter.depth = 3_i64);
        info!(counter.depth = -1_i64);
        info!(gauge.temperature = -4.5, room = %"attic");
        info!(gauge.temperature = f64::NAN, room = "cellar");
        info!(counter.depth = f64::NAN);
    });
    let labels = r#"{kind="import",ok="true",worker="7"}"#;
    watched.check(&[
        (&format!("jobs_total{labels}"), 3.5),
        (&format!("job_seconds_count{labels}"), 1.0),
        ("depth", 2.0),
        (r#"temperature{room="attic"}"#, -4.5),
        (
            r#"observatory_dropped_observations_total{reason="negative"}"#,
            1.0,
        ),
        (
            r#"observatory_dropped_observations_total{reason="not_a_number"}"#,
            1.0,
        ),
    ]);
}

#[test]
fn sizes_and_scores_are_events_with_a_name() {
    let watched = watched();
    watched.run(|| {
        info!(cache_type = "response", bytes = 2_048_u64, "cache_size");
        info!(name: "model_quality", model_id = "gpt-4o", score = 0.9);
        info!(name: "response_similarity", model_id = "gpt-4o", comparison_model = "claude", similarity = 0.75);
    });
    watched.check(&[
        (
            r#"llm_router_cache_size_bytes{cache_type="response"}"#,
            2048.0,
        ),
        (&format!("llm_router_model_quality_score{{{GPT}}}"), 0.9),
        (
            r#"llm_router_response_similarity_sum{comparison_model="claude",model_id="gpt-4o"}"#,
            0.75,
        ),
    ]);
}

#[test]
fn content_is_never_a_label() {
    let watched = watched();
    watched.run(|| {
        info!(
            monotonic_counter.asked = 1,
            prompt = "a s3cret",
            tenant = "t"
        );
    });
    let text = watched.registry.render(llm_observatory::Format::Prometheus);
    assert!(text.contains(r#"asked_total{tenant="t"} 1"#), "{text}");
    assert!(!text.contains("s3cret"));
    watched.check(&[(
        r#"observatory_dropped_observations_total{reason="content"}"#,
        1.0,
    )]);
}
