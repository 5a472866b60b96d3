//! Runs the example router on the Azure trace, with a real Prometheus that scrapes it.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use super::{
    process::{Process, conv_trace, free_port, get, is_here, query, wait_for},
    prometheus::{Prometheus, complaints, promtool_query},
};

/// The part of the trace, which takes five seconds at this speed.
const REQUESTS: &str = "1500";
const SPEED: &str = "60";

/// Returns the example, which the same `cargo test` has built.
pub(crate) fn example() -> PathBuf {
    example_named("llm_router")
}

pub(crate) fn example_named(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent()
        .and_then(|deps| deps.parent())
        .unwrap()
        .join("examples")
        .join(name)
}

/// A running router, its address and the address of its metrics.
pub(crate) struct Router {
    pub(crate) process: Process,
    pub(crate) address: String,
    pub(crate) monitor: String,
}

pub(crate) fn start(arguments: &[&str]) -> Router {
    start_with(arguments, &[])
}

/// Starts a router in this environment.
pub(crate) fn start_with(arguments: &[&str], environment: &[(&str, &str)]) -> Router {
    start_logging(arguments, environment, Stdio::null())
}

/// Starts a router like [`start_with`], with its standard error in `log`.
pub(crate) fn start_logging(
    arguments: &[&str],
    environment: &[(&str, &str)],
    log: Stdio,
) -> Router {
    let (address, monitor) = (
        format!("127.0.0.1:{}", free_port()),
        format!("127.0.0.1:{}", free_port()),
    );
    let child = Command::new(example())
        .args([
            "--listen",
            &address,
            "--monitor",
            &monitor,
            "--summary",
            "json",
        ])
        .args(arguments)
        .env("RUST_LOG", "warn")
        .env("OBSERVATORY_TICK", "500ms")
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let router = Router {
        process: Process(child),
        address,
        monitor,
    };
    wait_for("the router", Duration::from_secs(30), || {
        get(&format!("http://{}/v1/models", router.address))
    });
    router
}

impl Router {
    /// Returns the report after the run.
    pub(crate) fn report(&mut self) -> Value {
        let mut lines = BufReader::new(self.process.0.stdout.take().unwrap()).lines();
        let mut text = String::new();
        while !text.ends_with("}\n") || serde_json::from_str::<Value>(&text).is_err() {
            text.push_str(&lines.next().expect("a whole report").unwrap());
            text.push('\n');
        }
        serde_json::from_str(&text).unwrap()
    }

    pub(crate) fn metrics(&self) -> String {
        get(&format!("http://{}/metrics", self.monitor)).unwrap()
    }
}

pub(crate) fn row(report: &Value, name: &str, column: &str) -> f64 {
    let rows = report["rows"].as_array().unwrap();
    rows.iter().find(|row| row["name"] == name).unwrap()[column]
        .as_f64()
        .unwrap()
}

#[test]
fn three_columns_and_prometheus_agree_on_a_slice_of_the_trace() {
    let (Some(trace), true, true) = (conv_trace(), is_here("prometheus"), is_here("promtool"))
    else {
        return;
    };
    let mut router = start(&[
        "--trace",
        trace.to_str().unwrap(),
        "--requests",
        REQUESTS,
        "--speed",
        SPEED,
        "--fault-rate",
        "0.02",
        "--disconnect-rate",
        "0.03",
        "--linger",
        "60s",
    ]);
    let prometheus = Prometheus::scraping(&router.monitor, "router");
    let report = router.report();
    assert_eq!(report["broken"], Value::Array(Vec::new()), "{report:#}");
    assert!(
        row(&report, "inferences, cancelled", "metrics") > 0.0,
        "{report:#}"
    );
    assert!(
        row(&report, "inferences, error", "metrics") > 0.0,
        "{report:#}"
    );
    assert_eq!(row(&report, "in flight at the end", "metrics"), 0.0);

    // Prometheus has the same numbers, in its own API and in ours.
    let ours = format!("http://{}", router.monitor);
    let expectations = [
        (
            r#"sum(llm_router_model_inference_total{status="success"})"#,
            row(&report, "inferences, success", "ledger"),
        ),
        (
            r#"sum(llm_router_model_inference_total{status="cancelled"})"#,
            row(&report, "inferences, cancelled", "ledger"),
        ),
        (
            "sum(llm_router_tokens_generated_total)",
            row(&report, "output tokens", "ledger"),
        ),
        (
            "sum(llm_router_prompt_tokens_total)",
            row(&report, "prompt tokens", "client"),
        ),
        (
            r#"sum(llm_router_cache_operations_total{status="hit"})"#,
            row(&report, "cache hits", "client"),
        ),
        ("sum(llm_router_active_inferences)", 0.0),
    ];
    for (expression, expected) in expectations {
        for server in [&prometheus.url, &ours] {
            wait_for(
                &format!("{expression} = {expected} on {server}"),
                Duration::from_secs(10),
                || query(server, expression).filter(|value| *value == expected),
            );
        }
    }
    let rate = "sum(rate(llm_router_model_inference_total[5m]))";
    let said = promtool_query(&ours, rate);
    let per_second: f64 = said
        .trim_start_matches("{} => ")
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(per_second > 0.0, "{said}");
    assert_eq!(complaints(&router.metrics()), "");
}
