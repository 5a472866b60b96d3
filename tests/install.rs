//! Tests `Observatory::install` and everything that is global to a process, in its own process.
#![expect(clippy::float_cmp, reason = "counts are exact")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use llm_observatory::{Config, Format, InstallError, Observatory};
use tracing::info_span;

fn value(text: &str, series: &str) -> f64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

/// A single test, since globals can be installed only once.
#[test]
fn everything_is_installed_once_and_a_second_time_is_an_error() {
    // Many services have such a logger before they install the observatory; it is removed again.
    drop(tracing::subscriber::set_default(
        tracing_subscriber::registry(),
    ));
    // A quiet log must not cost a metric.
    let config = Config::default()
        .with_listen("127.0.0.1:0".parse().unwrap())
        .with_log_filter("off");
    let observatory = Observatory::install(config.clone()).unwrap();
    let text = || observatory.export_metrics(Format::Prometheus);

    let second = Observatory::install(config.clone());
    assert!(matches!(second, Err(InstallError::Installed)), "{second:?}");
    assert!(
        second
            .unwrap_err()
            .to_string()
            .contains("Observatory::builder")
    );

    // Spans and the application's own metrics are in one registry.
    drop(info_span!("inference", model_id = "gpt-4o", tokens = 3));
    metrics::describe_counter!("jobs", "Jobs done.");
    metrics::counter!("jobs", "kind" => "import").increment(2);
    metrics::gauge!("depth").set(1.5);
    metrics::histogram!("wait_seconds").record(0.2);
    log::error!("through the log crate");
    let now = text();
    for (series, expected) in [
        (
            r#"llm_router_model_inference_total{model_id="gpt-4o",status="success"}"#,
            1.0,
        ),
        (
            r#"llm_router_tokens_generated_total{model_id="gpt-4o"}"#,
            3.0,
        ),
        (r#"jobs_total{kind="import"}"#, 2.0),
        ("depth", 1.5),
        ("wait_seconds_count", 1.0),
        (
            r#"llm_router_errors_total{component="install",error_type="_OTHER"}"#,
            1.0,
        ),
    ] {
        assert_eq!(value(&now, series), expected, "{series} in\n{now}");
    }
    assert!(now.contains("# HELP jobs_total Jobs done."));

    observatory.shutdown_blocking();
    drop(info_span!("inference", model_id = "after"));
    assert_eq!(
        value(
            &text(),
            r#"llm_router_model_inference_total{model_id="after",status="success"}"#
        ),
        1.0
    );
}
