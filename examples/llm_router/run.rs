//! Runs the example: loads models, serves, sends traffic, stops, and compares.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use llm_observatory::health::Health;
use llm_observatory::middleware::http::MonitorConnections;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::Error;
use crate::chat;
use crate::cli::Cli;
use crate::client::{ClientResults, Traffic, Workload};
use crate::engine::{Engine, Upstream};
use crate::faults::FaultInjector;
use crate::health::{register_engines, register_redis, register_upstream};
use crate::ledger::Ledger;
use crate::models::{load_embedded, load_upstream};
use crate::report::{Report, Scrape, compare};
use crate::routing::Router;
use crate::server::{Service, app};

/// The time that responses may stay open after the last request.
const DRAIN: Duration = Duration::from_secs(10);

/// The run could not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(
        "--listen {address}: cannot listen there; choose another, such as --listen 127.0.0.1:8081"
    )]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error(
        "--monitor {address}: the observatory did not start; if the port is taken, choose another, such as --monitor 127.0.0.1:9091"
    )]
    Monitor { address: SocketAddr, source: Error },
    #[error("no /metrics to compare with: the server of the observatory is switched off")]
    NoMonitor,
    #[error("no model is loaded")]
    NoModels,
}

/// Runs the router until its traffic ends or the user interrupts it, and compares the columns.
pub(crate) async fn run(
    cli: &Cli,
    monitor: Option<SocketAddr>,
    health: &Health,
) -> Result<Report, Error> {
    // `/health/ready` and `/health/startup` fail until the models are loaded and the router listens.
    let readiness = health.readiness();

    // Without the built-in client, there is nothing to compare with.
    if monitor.is_none() && !cli.no_client {
        return Err(StartError::NoMonitor.into());
    }
    // Invalid options fail before anything is served.
    let workload = cli
        .trace
        .as_deref()
        .map_or_else(|| Ok(Workload::drawn(cli.seed)), Workload::from_trace)?;
    let bound = TcpListener::bind(cli.listen).await;
    let listener = bound.map_err(|source| StartError::Listen {
        address: cli.listen,
        source,
    })?;
    let server = listener.local_addr()?;

    let (engine, models) = match &cli.upstream {
        None => {
            let models = load_embedded(cli.speed).await;
            register_engines(health, &models)?;
            (Engine::Embedded(cli.speed), models)
        }
        Some(url) => {
            register_upstream(health, url)?;
            let (upstream, ids) = Upstream::connect(url).await?;
            (
                Engine::Upstream(upstream),
                load_upstream(&ids, cli.speed).await,
            )
        }
    };
    if let Some(redis) = cli.redis {
        register_redis(health, redis)?;
    }
    let counts_words = matches!(engine, Engine::Embedded(_));
    let router = Router::new(models, cli.strategy).ok_or(StartError::NoModels)?;
    let faults = FaultInjector {
        rate: cli.fault_rate,
        seed: cli.seed,
        until: cli.fault_for.map(|time| std::time::Instant::now() + time),
    };
    let service = Arc::new(Service::new(router, engine, faults));
    let ledger = Arc::clone(&service.ledger);

    let (interrupt, interrupted) = watch::channel(false);
    tokio::spawn(interrupt_on_ctrl_c(interrupt));
    let (stop, stopped) = watch::channel(false);
    // Without TCP_NODELAY, Nagle's algorithm delays small chunks until the previous chunk is acknowledged.
    let listener = listener.tap_io(|stream| {
        let _best_effort = stream.set_nodelay(true);
    });
    // The page is not monitored, so that the ledger need not count its files.
    let app = app(service).merge(chat::routes(monitor));
    let app = MonitorConnections::new(app.into_make_service(), "http");
    let serving = axum::serve(listener, app).with_graceful_shutdown(wait(stopped));
    let serving = tokio::spawn(serving.into_future());
    readiness.ready();
    eprint!("{}", greeting(server, monitor, cli));

    let started = Instant::now();
    let memory = if cli.no_client {
        serve_only(cli.exit_after, interrupted).await;
        None
    } else {
        let traffic = Traffic {
            server,
            workload,
            requests: cli.requests,
            exit_after: cli.exit_after,
            speed: cli.speed,
            disconnect_rate: cli.disconnect_rate,
            seed: cli.seed,
            counts_words,
        };
        Some(send(traffic, interrupted).await?)
    };
    let took = started.elapsed();

    readiness.shutting_down();
    // Connections finish their requests, so that no request is counted halfway.
    stop.send_replace(true);
    if let Ok(ended) = timeout(DRAIN, serving).await {
        ended??;
    }
    drain(&ledger).await;
    let monitor = monitor.ok_or(StartError::NoMonitor)?;
    let mut report = compare(memory.as_ref(), &ledger, &scrape(monitor).await?);
    report.took(took);
    Ok(report)
}

async fn send(
    traffic: Traffic,
    interrupted: watch::Receiver<bool>,
) -> Result<ClientResults, Error> {
    let known = traffic.workload.remaining();
    let total = match (known, traffic.requests) {
        (Some(known), Some(requests)) => Some(known.min(requests)),
        (known, requests) => known.or(requests),
    };
    // indicatif hides the bar if standard error is not a terminal.
    let progress = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    if total.is_some()
        && let Ok(style) =
            ProgressStyle::with_template("{wide_bar} {pos}/{len} requests, {per_sec}, {eta} left")
    {
        progress.set_style(style);
    } else if let Ok(style) =
        ProgressStyle::with_template("{spinner} {pos} requests in {elapsed}, {per_sec}")
    {
        progress.set_style(style);
    }
    let memory = traffic.send(&progress, interrupted).await;
    progress.finish_and_clear();
    memory
}

async fn serve_only(exit_after: Option<Duration>, interrupted: watch::Receiver<bool>) {
    tokio::select! {
        () = sleep(exit_after.unwrap_or(Duration::MAX)) => {}
        () = wait(interrupted) => {}
    }
}

/// Ends the run with its report on the first Ctrl-C, and the process on the second.
async fn interrupt_on_ctrl_c(interrupt: watch::Sender<bool>) {
    if tokio::signal::ctrl_c().await.is_ok() {
        interrupt.send_replace(true);
    }
    if tokio::signal::ctrl_c().await.is_ok() {
        std::process::exit(130);
    }
}

async fn wait(mut flag: watch::Receiver<bool>) {
    // An error means that the sender is gone, which counts as a raised flag.
    let _raised = flag.wait_for(|raised| *raised).await;
}

async fn drain(ledger: &Ledger) {
    let deadline = Instant::now() + DRAIN;
    while ledger.open_exchanges() > 0 && Instant::now() < deadline {
        sleep(Duration::from_millis(10)).await;
    }
}

async fn scrape(monitor: SocketAddr) -> Result<Scrape, Error> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(30))
        .build()?;
    let answer = client
        .get(format!("http://{monitor}/metrics"))
        .send()
        .await?
        .error_for_status()?;
    let text = answer.text().await?;
    Scrape::parse(&text)
        .map_err(|line| format!("/metrics has a line that is no sample: {line}").into())
}

fn greeting(server: SocketAddr, monitor: Option<SocketAddr>, cli: &Cli) -> String {
    let monitor = monitor.map_or_else(|| "(off)".to_owned(), |monitor| monitor.to_string());
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _infallible = writeln!(
        text,
        "page     http://{monitor}/\n\
         chat     http://{server}/\n\
         router   http://{server}/v1/chat/completions\n\
         metrics  http://{monitor}/metrics\n\
         health   http://{monitor}/health\n\
         status   http://{monitor}/status\n\
         try      curl -N http://{server}/v1/chat/completions -H 'content-type: application/json' -d \
         '{{\"model\":\"auto\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'"
    );
    if std::io::stderr().is_terminal() {
        let end = if cli.no_client || (cli.trace.is_none() && cli.exit_after.is_none()) {
            "ends the run"
        } else {
            "ends it early"
        };
        let _infallible = writeln!(text, "Ctrl-C {end} and prints the report");
    }
    text
}
