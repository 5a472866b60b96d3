//! Tests a `Debug` that calls back into the Layer. tracing allows this only under a global subscriber, so the test has
//! its own process. There is no `fmt` layer, since it formats fields while it holds the span's extensions.
#![expect(clippy::float_cmp, reason = "counts are exact")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt;

use llm_observatory::{Config, Format, Observatory};
use tracing::{Span, error, field::Empty, info_span};
use tracing_subscriber::{filter::LevelFilter, prelude::*};

/// A value whose `Debug` calls back into the Layer in every possible way.
struct Meddler;

impl fmt::Debug for Meddler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Span::current().record("tokens", 1);
        drop(info_span!("inference", model_id = "from-debug"));
        drop(info_span!(
            "cache",
            operation = "get",
            cache_type = "from-debug",
            hit = true
        ));
        error!(error_type = "from-debug", "from inside");
        tracing::info!(monotonic_counter.meddled = 1, who = "debug");
        metrics::counter!("meddled_too").increment(1);
        f.write_str("gpt-4o")
    }
}

fn value(text: &str, series: &str) -> f64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

#[test]
fn a_debug_that_reenters_is_observed_like_other_code() {
    let (layer, observatory) = Observatory::builder(Config::default().without_server())
        .build()
        .unwrap();
    tracing_subscriber::registry()
        .with(layer)
        .with(LevelFilter::INFO)
        .init();
    metrics::set_global_recorder(observatory.recorder()).unwrap();

    let span = info_span!("inference", model_id = ?Meddler, engine = Empty, tokens = Empty);
    span.in_scope(|| span.record("engine", tracing::field::debug(Meddler)));
    drop(span);
    let request = info_span!("http_request", method = "GET", route = ?Meddler, status_code = Empty);
    request.in_scope(|| request.record("route", tracing::field::debug(Meddler)));
    drop(request);
    let now = observatory.export_metrics(Format::Prometheus);
    for (series, expected) in [
        (
            r#"llm_router_model_inference_total{model_id="from-debug",status="success"}"#,
            4.0,
        ),
        (
            r#"llm_router_model_inference_total{engine="gpt-4o",model_id="gpt-4o",status="error"}"#,
            1.0,
        ),
        (
            r#"llm_router_cache_operations_total{cache_type="from-debug",operation="get",status="hit"}"#,
            4.0,
        ),
        ("meddled_total{who=\"debug\"}", 4.0),
        ("meddled_too_total", 4.0),
    ] {
        assert_eq!(value(&now, series), expected, "{series} in\n{now}");
    }
}
