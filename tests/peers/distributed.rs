//! Follows one trace through three processes: router → second router → engine; with W3C, B3 in one header and in
//! several; over HTTP by hand, and over gRPC by the middleware. Prometheus's exemplar names a trace that the collector
//! has.

#[cfg(feature = "grpc")]
mod relay;

use std::{
    env,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use axum::{Router, extract::State, http::HeaderMap, routing::post};
use llm_observatory::{Config, Observatory, Propagator, TracesConfig, propagation};
use tracing::{Instrument as _, info_span};
use tracing_subscriber::{filter::LevelFilter, prelude::*};

use crate::{
    process::{Process, block_on, get, is_here, wait_for},
    prometheus::Prometheus,
    traces::{Collector, PATIENCE, rotel, spans},
};

const ROLE: &str = "DISTRIBUTED_ROLE";

/// The next service of a process; `None` for the engine.
#[derive(Clone)]
struct Service {
    role: String,
    next: Option<String>,
    propagators: Vec<Propagator>,
}

/// Runs as one of the processes: this test's own binary, started again.
#[test]
#[ignore = "it is started by the test below"]
fn service() {
    let Ok(role) = env::var(ROLE) else { return };
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let mut traces = TracesConfig::default();
    traces.otlp.endpoint = variable("DISTRIBUTED_COLLECTOR");
    traces.batch.delay = Duration::from_millis(50);
    let named = |name: &str| {
        Propagator::ALL
            .into_iter()
            .find(|known| known.as_str() == name)
    };
    let propagators = variable("DISTRIBUTED_PROPAGATOR").and_then(|name| named(&name));
    traces.propagators = propagators.into_iter().collect();
    let config = Config::default()
        .with_service_name(&role)
        .with_listen("127.0.0.1:0".parse().unwrap())
        .with_traces(traces.clone());
    let (layer, observatory) = Observatory::builder(config).build().unwrap();
    // tonic's HTTP/2 implementation has spans at TRACE.
    let filtered = tracing_subscriber::registry().with(LevelFilter::INFO);
    tracing::subscriber::set_global_default(filtered.with(layer)).unwrap();
    let service = Service {
        role,
        next: variable("DISTRIBUTED_NEXT"),
        propagators: traces.propagators,
    };
    #[cfg(feature = "grpc")]
    if variable("DISTRIBUTED_PROTOCOL").as_deref() == Some("grpc") {
        return block_on(relay::serve(service.next, &observatory));
    }
    block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (own, metrics) = (listener.local_addr().unwrap(), observatory.listen_address());
        eprintln!("\nlistening {own} {}", metrics.unwrap());
        let router = Router::new().route("/", post(serve)).with_state(service);
        axum::serve(listener, router).await.unwrap();
    });
}

async fn serve(State(service): State<Service>, headers: HeaderMap) -> String {
    let request = info_span!(
        "http_request",
        otel.kind = "server",
        otel.name = format!("{} request", service.role),
        method = "POST",
        route = "/",
        status_code = 200,
    );
    propagation::extract(&headers, &service.propagators).set_parent_of(&request);
    answer(service).instrument(request).await
}

async fn answer(service: Service) -> String {
    let call = info_span!(
        "inference",
        otel.kind = "client",
        otel.name = format!("{} call", service.role),
        model_id = "gpt-4o",
        status = "success",
    );
    let Some(next) = service.next else {
        return call.in_scope(|| "done".to_owned());
    };
    let mut headers = HeaderMap::new();
    propagation::inject(&call, &mut headers, &service.propagators);
    let asked = reqwest::Client::new().post(next).headers(headers).send();
    let answered = asked.instrument(call).await.unwrap();
    answered.text().await.unwrap()
}

/// Starts a process; returns it with its address and the address of its metrics.
fn start(
    role: &str,
    next: &str,
    collector: &Collector,
    propagator: Propagator,
) -> (Process, String, String) {
    start_with("http", [role, next], collector, propagator)
}

/// Starts a process like [`start`], over `http` or `grpc`.
fn start_with(
    protocol: &str,
    [role, next]: [&str; 2],
    collector: &Collector,
    propagator: Propagator,
) -> (Process, String, String) {
    let endpoint = format!("http://127.0.0.1:{}/v1/traces", collector.http);
    let mut child = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "distributed::service",
            "--ignored",
            "--nocapture",
        ])
        .env(ROLE, role)
        .env("DISTRIBUTED_PROTOCOL", protocol)
        .env("DISTRIBUTED_NEXT", next)
        .env("DISTRIBUTED_COLLECTOR", endpoint)
        .env("DISTRIBUTED_PROPAGATOR", propagator.as_str())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let process = Process(child);
    let line = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("listening ").map(str::to_owned));
    let line = line.unwrap();
    let (own, metrics) = line.split_once(' ').unwrap();
    (process, format!("http://{own}/"), metrics.to_owned())
}

#[test]
fn three_processes_are_one_trace_and_its_exemplar_leads_to_it() {
    let Some(rotel) = rotel() else { return };
    for propagator in [
        Propagator::TraceContext,
        Propagator::B3,
        Propagator::B3Multi,
    ] {
        let collector = Collector::start(&rotel, "traces");
        let (_engine, engine, _) = start("engine", "", &collector, propagator);
        let (_second, second, _) = start("second", &engine, &collector, propagator);
        let (_first, first, metrics) = start("first", &second, &collector, propagator);
        let answer = block_on(async {
            let asked = reqwest::Client::new().post(&first).send().await;
            asked.unwrap().text().await.unwrap()
        });
        assert_eq!(answer, "done");
        let log = wait_for("six spans", PATIENCE, || {
            let log = collector.log();
            (spans(&log).len() >= 6).then_some(log)
        });
        let spans = spans(&log);
        let path = [
            "first request",
            "first call",
            "second request",
            "second call",
            "engine request",
            "engine call",
        ];
        let path = path.map(|name| {
            let found = spans.iter().find(|span| span["Name"] == name);
            found.unwrap_or_else(|| panic!("no {name} in {log}"))
        });
        assert_eq!(path[0]["Parent ID"], "", "{log}");
        for pair in path.windows(2) {
            assert_eq!(
                pair[1]["Trace ID"], pair[0]["Trace ID"],
                "{propagator:?}: {log}"
            );
            assert_eq!(pair[1]["Parent ID"], pair[0]["ID"], "{propagator:?}: {log}");
        }
        if propagator == Propagator::TraceContext && is_here("prometheus") {
            let prometheus = Prometheus::scraping(&metrics, "distributed");
            let url = format!(
                "{}/api/v1/query_exemplars?query=llm_router_model_inference_duration_seconds_bucket&start=0&end=99999999999",
                prometheus.url
            );
            let trace = path[0]["Trace ID"].to_lowercase();
            wait_for("the exemplar", PATIENCE, || {
                get(&url).filter(|answer| answer.contains(&trace))
            });
        }
    }
}
