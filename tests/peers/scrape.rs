//! Reads our exposition with other programs.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use llm_observatory::{Config, Format, Observatory};
use tracing_subscriber::{Registry, prelude::*};

use super::{
    process::{Folder, Process, free_port, get, is_here, post, query, wait_for},
    prometheus::{Prometheus, complaints},
};

const PATIENCE: Duration = Duration::from_secs(30);

/// Builds an observatory with spans of every kind, label values that need escaping, and a trace.
pub(crate) fn observed() -> Observatory {
    observed_with_tick(Duration::from_secs(10))
}

pub(crate) fn observed_with_tick(tick: Duration) -> Observatory {
    let config = Config::default()
        .with_tick(tick)
        .with_listen("127.0.0.1:0".parse().unwrap());
    let (layer, observatory) = Observatory::builder(config).build::<Registry>().unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        for model in ["gpt-4o", "a\"b\\c\nd", "模型"] {
            let span = tracing::info_span!(
                "inference",
                model_id = model,
                engine = "vllm",
                tokens = 50,
                prompt_tokens = 9,
                trace_id = "4bf92f3577b34da6a3ce929d0e0e4736",
                span_id = "00f067aa0ba902b7",
            );
            span.in_scope(|| (0..3).for_each(|_| tracing::info!("token")));
        }
        drop(tracing::info_span!(
            "http_request",
            method = "GET",
            route = "/v1/models",
            status_code = 503
        ));
        drop(tracing::info_span!(
            "cache",
            operation = "get",
            cache_type = "kv",
            hit = true
        ));
        drop(tracing::info_span!("model_load", model_id = "gpt-4o"));
    });
    metrics::with_local_recorder(&observatory.recorder(), || {
        metrics::describe_counter!("jobs", "Jobs \\ \"done\".\nAll.");
        metrics::counter!("jobs", "kind" => "import").increment(1 << 60);
    });
    observatory
}

#[test]
fn promtool_has_no_complaint() {
    if !is_here("promtool") {
        return;
    }
    assert_eq!(
        complaints(&observed().export_metrics(Format::Prometheus)),
        ""
    );
}

#[test]
fn prometheus_scrapes_values_escapes_and_exemplars() {
    if !is_here("prometheus") {
        return;
    }
    let observatory = observed();
    let target = observatory.listen_address().unwrap().to_string();
    let prometheus = Prometheus::scraping(&target, "scrape");
    let value =
        |expression: &str| wait_for(expression, PATIENCE, || query(&prometheus.url, expression));
    assert_eq!(value("sum(llm_router_model_inference_total)"), 3.0);
    assert_eq!(
        value(r#"llm_router_tokens_generated_total{model_id="a\"b\\c\nd"}"#),
        50.0
    );
    assert_eq!(
        value(r#"llm_router_tokens_generated_total{model_id="模型"}"#),
        50.0
    );
    assert_eq!(
        value(r#"llm_router_http_requests_total{status_code="503"}"#),
        1.0
    );
    assert_eq!(value("jobs_total"), (1_u64 << 60) as f64);
    assert_eq!(
        value(r#"sum(gen_ai_client_token_usage_bucket{le="64.0",gen_ai_token_type="output"})"#),
        3.0
    );
    assert!(value("process_resident_memory_bytes") > 1e6);
    // Prometheus asks for protobuf first, and accepts `OpenMetrics`, the only format here with exemplars.
    let exemplars = wait_for("exemplars", PATIENCE, || {
        let url = format!(
            "{}/api/v1/query_exemplars?query=llm_router_model_inference_duration_seconds_bucket&start=0&end=99999999999",
            prometheus.url
        );
        get(&url).filter(|answer| answer.contains("4bf92f3577b34da6a3ce929d0e0e4736"))
    });
    assert!(exemplars.contains("00f067aa0ba902b7"), "{exemplars}");
}

#[test]
fn victoria_metrics_imports_the_same_text() {
    if !is_here("victoria-metrics") {
        return;
    }
    let folder = Folder::new("victoria");
    let port = free_port();
    let process = Command::new("victoria-metrics")
        .arg(format!(
            "-storageDataPath={}",
            folder.0.join("data").display()
        ))
        .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
        // By default, it returns no samples younger than half a minute.
        .arg("-search.latencyOffset=0s")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _process = Process(process);
    let url = format!("http://127.0.0.1:{port}");
    wait_for("VictoriaMetrics", PATIENCE, || {
        get(&format!("{url}/health"))
    });
    let text = observed().export_metrics(Format::Prometheus);
    post(&format!("{url}/api/v1/import/prometheus"), text.clone()).expect("the import is taken");
    for (expression, expected) in [
        ("sum(llm_router_model_inference_total)", 3.0),
        (
            r#"llm_router_tokens_generated_total{model_id="a\"b\\c\nd"}"#,
            50.0,
        ),
        (
            r#"llm_router_model_loading_duration_seconds_count{model_id="gpt-4o"}"#,
            1.0,
        ),
    ] {
        let value = wait_for(expression, PATIENCE, || {
            get(&format!("{url}/internal/force_flush"));
            query(&url, expression)
        });
        assert_eq!(value, expected, "{expression}");
    }
    // Every sample line became a series.
    let samples = text.lines().filter(|line| !line.starts_with('#')).count() as f64;
    wait_for("every series", PATIENCE, || {
        get(&format!("{url}/internal/force_flush"));
        query(&url, r#"count({__name__!=""})"#).filter(|count| *count == samples)
    });
}
