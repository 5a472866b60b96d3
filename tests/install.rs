//! `Observatory::install` and everything that is global to a process, in a process of its own.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::fmt;

use llm_observatory::{Config, Format, InstallError, Observatory};
use tracing::{Span, error, field::Empty, info_span};

/// A value whose `Debug` comes back to the Layer in every way there is.
struct Meddler;

impl fmt::Debug for Meddler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Span::current().record("tokens", 1);
        drop(info_span!("inference", model_id = "from-debug"));
        drop(info_span!("cache", operation = "get", cache_type = "from-debug", hit = true));
        error!(error_type = "from-debug", "from inside");
        tracing::info!(monotonic_counter.meddled = 1, who = "debug");
        metrics::counter!("meddled_too").increment(1);
        f.write_str("gpt-4o")
    }
}

fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

/// One test: what is global can be installed once.
#[test]
fn everything_is_installed_once_and_a_second_time_is_an_error() {
    // A quiet log, on purpose: it must not cost a metric.
    let config = Config::default().with_listen("127.0.0.1:0".parse().unwrap()).with_log_filter("off");
    let observatory = Observatory::install(config.clone()).unwrap();
    let text = || observatory.export_metrics(Format::Prometheus);

    let second = Observatory::install(config.clone());
    assert!(matches!(second, Err(InstallError::SubscriberInstalled)), "{second:?}");
    assert!(second.unwrap_err().to_string().contains("Observatory::builder"));

    // Spans, and the application's own metrics, in one registry.
    drop(info_span!("inference", model_id = "gpt-4o", tokens = 3));
    metrics::describe_counter!("jobs", "Jobs done.");
    metrics::counter!("jobs", "kind" => "import").increment(2);
    metrics::gauge!("depth").set(1.5);
    metrics::histogram!("wait_seconds").record(0.2);
    log::error!("through the log crate");
    let now = text();
    for (series, expected) in [
        (r#"llm_router_model_inference_total{model_id="gpt-4o",status="success"}"#, 1.0),
        (r#"llm_router_tokens_generated_total{model_id="gpt-4o"}"#, 3.0),
        (r#"jobs_total{kind="import"}"#, 2.0),
        ("depth", 1.5),
        ("wait_seconds_count", 1.0),
        (r#"llm_router_errors_total{component="install",error_type="error"}"#, 1.0),
    ] {
        assert_eq!(value(&now, series), expected, "{series} in\n{now}");
    }
    assert!(now.contains("# HELP jobs_total Jobs done."));

    // A `Debug` that comes back: with a global subscriber tracing lets it.
    let span = info_span!("inference", model_id = ?Meddler, engine = Empty, tokens = Empty);
    span.in_scope(|| span.record("engine", tracing::field::debug(Meddler)));
    drop(span);
    let request = info_span!("http_request", method = "GET", route = ?Meddler, status_code = Empty);
    request.in_scope(|| request.record("route", tracing::field::debug(Meddler)));
    drop(request);
    let now = text();
    for (series, expected) in [
        (r#"llm_router_model_inference_total{model_id="from-debug",status="success"}"#, 4.0),
        (r#"llm_router_model_inference_total{engine="gpt-4o",model_id="gpt-4o",status="error"}"#, 1.0),
        (r#"llm_router_cache_operations_total{cache_type="from-debug",operation="get",status="hit"}"#, 4.0),
        ("meddled_total{who=\"debug\"}", 4.0),
        ("meddled_too_total", 4.0),
    ] {
        assert_eq!(value(&now, series), expected, "{series} in\n{now}");
    }

    observatory.shutdown_blocking();
    drop(info_span!("inference", model_id = "after"));
    assert_eq!(value(&text(), r#"llm_router_model_inference_total{model_id="after",status="success"}"#), 1.0);
}
