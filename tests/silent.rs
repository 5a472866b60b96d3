//! Tests that a set-up that measures nothing says so. Each case is a process of its own, since the subscriber is global.
//!
//! The binary has its own `main`, since it starts itself again as the process of a case.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

use std::{
    env,
    process::{Command, Output},
};

use llm_observatory::{Config, Observatory};
use tracing::info_span;
use tracing_subscriber::{EnvFilter, fmt, prelude::*};

const CASE: &str = "SILENT_CASE";
#[cfg(feature = "alerting")]
const SINK: &str = "SILENT_SINK";
#[cfg(feature = "alerting")]
const DIRECTORY: &str = "SILENT_DIRECTORY";
const HIDES: &str = "a filter of the subscriber";

fn main() {
    match env::var(CASE) {
        Ok(case) => child(&case),
        Err(_) => parent(),
    }
}

/// Runs the process of a case.
fn child(case: &str) {
    match case {
        #[cfg(all(feature = "http", feature = "server"))]
        "shadowed" => shadowed(),
        #[cfg(feature = "alerting")]
        "batch" | "kept" | "all" | "never" => batch_job(case),
        #[cfg(feature = "alerting")]
        "unknown" => unknown_metrics(),
        "dropped" => drop(Observatory::install(Config::default().without_server()).unwrap()),
        "dropped early" => dropped_early(),
        filter => filtered(filter),
    }
}

/// Sends requests to endpoints that the application answers itself.
#[cfg(all(feature = "http", feature = "server"))]
fn shadowed() {
    use axum::{Router, body::Body, http::Request, routing::get};
    use llm_observatory::MonitorOptions;
    use tower::ServiceExt as _;

    let config = Config::default().with_listen("127.0.0.1:0".parse().unwrap());
    let observatory = Observatory::install(config).unwrap();
    println!("{}", observatory.listen_address().unwrap());
    let router = Router::new().route("/health", get(async || "mine"));
    let app = observatory.monitor(router, MonitorOptions::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    for path in ["/health", "/health", "/metrics"] {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        runtime.block_on(app.clone().oneshot(request)).unwrap();
    }
    observatory.shutdown_blocking();
}

/// Loads rules that name metrics which do not exist, and queries such metrics.
#[cfg(feature = "alerting")]
fn unknown_metrics() {
    use llm_observatory::alerting::AlertRule;

    let mut config = Config::default().without_server();
    let rule = |name: &str, expr: &str| AlertRule::new(name).expr(expr);
    config.alerting.rules = vec![
        rule("busy", "rate(llm_router_dev_http_requests_total[5m]) > 10"),
        rule("rows", "rows_total > 5 or absent(heartbeat)"),
    ];
    let observatory = Observatory::install(config).unwrap();
    let queried = observatory.query("asked_total", std::time::SystemTime::now());
    assert_eq!(queried.unwrap().warnings.len(), 1);
    observatory.shutdown_blocking();
}

/// Drops the handle before the subscriber of the application is installed.
fn dropped_early() {
    let builder = Observatory::builder(Config::default().without_server());
    let (layer, _) = builder.build().unwrap();
    tracing_subscriber::registry().with(layer).init();
}

/// Raises an alert by an event, and one by a rule, in the last moments of a process.
#[cfg(feature = "alerting")]
fn batch_job(case: &str) {
    use llm_observatory::alerting::{AlertRule, ChannelConfig, FlushOnShutdown, WebhookOptions};

    let url = env::var(SINK).unwrap();
    let mut config = Config::default()
        .without_server()
        .with_channel("ops", ChannelConfig::webhook(WebhookOptions::new([url])))
        .with_rule(
            AlertRule::new("rows_failed")
                .expr("rows_failed_total > 2")
                .channels(["ops"]),
        );
    config.shutdown_timeout = std::time::Duration::from_secs(2);
    config.alerting.default_rules = false;
    if let Ok(directory) = env::var(DIRECTORY) {
        config = config.with_data_dir(directory);
    }
    config.alerting.flush_on_shutdown = match case {
        "all" => FlushOnShutdown::All,
        "never" => FlushOnShutdown::Never,
        _ => FlushOnShutdown::Auto,
    };
    let observatory = Observatory::install(config).unwrap();
    metrics::counter!("rows_failed").increment(3);
    tracing::error!(
        alert.rule = "import_failed",
        table = "users",
        "the import failed"
    );
    observatory.shutdown_blocking();
}

/// Runs a short job whose subscriber has the case as its global filter, and prints what `/status` says.
fn filtered(case: &str) {
    let config = Config::default().without_server();
    let builder = Observatory::builder(config);
    let filter: EnvFilter = case.parse().unwrap();
    // Both orders are common.
    let observatory = if env::args().any(|arg| arg == "--inside") {
        let (layer, observatory) = builder.build().unwrap();
        let subscriber = tracing_subscriber::registry().with(filter);
        let log = fmt::layer().with_ansi(false).with_writer(std::io::stderr);
        subscriber.with(log).with(layer).init();
        observatory
    } else {
        let (layer, observatory) = builder.build().unwrap();
        let log = fmt::layer().with_ansi(false).with_writer(std::io::stderr);
        let subscriber = tracing_subscriber::registry().with(layer);
        subscriber.with(log).with(filter).init();
        observatory
    };
    info_span!("inference", model_id = "m", status = "success").in_scope(|| ());
    let status = observatory.status();
    println!("{} {:?}", status.observations, status.problems);
    observatory.shutdown_blocking();
}

/// Starts this binary as the process of a case, and returns its standard output and standard error.
fn run(case: &str, argument: &str) -> (String, String) {
    run_with(case, argument, &[])
}

fn run_with(case: &str, argument: &str, variables: &[(&str, &str)]) -> (String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env::current_exe().unwrap())
        .arg(argument)
        .env(CASE, case)
        .envs(variables.iter().copied())
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let (out, log) = (
        String::from_utf8_lossy(&stdout).into_owned(),
        String::from_utf8_lossy(&stderr).into_owned(),
    );
    assert!(status.success(), "{case}: {log}");
    (out, log)
}

/// Runs a case in both orders, and checks the observations, the lines on standard error, and the problems in the status.
fn check(case: &str, observations: u64, lines: usize, problems: usize) {
    for order in ["--outside", "--inside"] {
        let (out, log) = run(case, order);
        assert!(
            out.starts_with(&format!("{observations} ")),
            "{case}: {out}"
        );
        assert_eq!(out.matches(HIDES).count(), problems, "{case}: {out}");
        assert_eq!(log.matches(HIDES).count(), lines, "{case}: {log}");
        let remedy = log.contains("put the filter on the log alone");
        assert_eq!(remedy, lines > 0, "{case}: {log}");
    }
    println!("filter {case:?}: {observations} observations, {lines} lines");
}

fn parent() {
    check("info", 1, 0, 0);
    // The log shows the line.
    check("warn", 0, 1, 1);
    check("error", 0, 1, 1);
    // The filter hides the log line, too: standard error.
    check("off", 0, 1, 1);
    // Named crates: those of this run, of which the status tells, and others, where nothing was measured.
    check("silent=info", 1, 0, 1);
    check("hyper=info", 0, 1, 1);
    check("warn,hyper=info", 0, 1, 1);
    #[cfg(all(feature = "http", feature = "server"))]
    check_shadowed();
    #[cfg(feature = "alerting")]
    check_batch_jobs();
    #[cfg(feature = "alerting")]
    check_unknown_metrics();
    check_dropped();
}

/// Checks that a single line says which endpoint the application answers, and where the observatory's endpoint is.
#[cfg(all(feature = "http", feature = "server"))]
fn check_shadowed() {
    let (out, log) = run("shadowed", "");
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("answers /"))
        .collect();
    let expected = format!("it is at http://{}/health", out.trim());
    assert!(
        lines.len() == 1 && lines[0].contains(&expected),
        "{expected}: {log}"
    );
    assert!(
        lines[0].contains("MonitorOptions::with_health(EndpointAccess::Off)"),
        "{log}"
    );
    println!("shadowed: said once");
}

/// Checks which alerts of a process that ends at once reach a webhook, and the line about those that remain.
#[cfg(feature = "alerting")]
fn check_batch_jobs() {
    let (url, bodies) = sink();
    let directory = env::temp_dir().join(format!("observatory-silent-{}", std::process::id()));
    let run = |case: &str, url: &str, is_kept: bool| {
        let path = directory.join(case);
        let mut variables = vec![(SINK, url)];
        if is_kept {
            variables.push((DIRECTORY, path.to_str().unwrap()));
        }
        let (_, log) = run_with(case, "", &variables);
        let told = std::mem::take(&mut *bodies.lock().unwrap());
        let is_told = |alert: &str| told.matches(&format!(r#""alertname":"{alert}""#)).count() > 0;
        println!("batch job {case:?}: told {} bytes", told.len());
        (is_told("import_failed"), is_told("rows_failed"), log)
    };
    // Without a data directory, all alerts are told.
    let (event, rule, log) = run("batch", &url, false);
    assert!(
        event && rule && !log.contains("alerting stops with"),
        "{log}"
    );
    // With a data directory, the rule's group waits for the next start, and a line says so.
    let (event, rule, log) = run("kept", &url, true);
    assert!(event && !rule, "{event} {rule}: {log}");
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("alerting stops with"))
        .collect();
    assert!(
        lines.len() == 1 && lines[0].contains("1 groups of alerts") && lines[0].contains("silent-"),
        "{log}"
    );
    let (event, rule, log) = run("all", &url, true);
    assert!(
        event && rule && !log.contains("alerting stops with"),
        "{log}"
    );
    let (event, rule, log) = run("never", &url, false);
    assert!(
        !event && !rule && log.contains("2 groups of alerts"),
        "{log}"
    );
    assert!(
        log.contains("they are lost") && log.contains("OBSERVATORY_DATA_DIR"),
        "{log}"
    );
    // No receiver answers.
    let (event, rule, log) = run("batch", "http://127.0.0.1:9/", false);
    assert!(
        !event && !rule && log.contains("2 notifications that no receiver has accepted"),
        "{log}"
    );
    std::fs::remove_dir_all(directory).unwrap();
}

/// Starts a webhook receiver; returns its address and the bodies that it has received.
#[cfg(feature = "alerting")]
fn sink() -> (String, std::sync::Arc<std::sync::Mutex<String>>) {
    use std::{
        io::{BufRead as _, BufReader, Read as _, Write as _},
        net::TcpListener,
        sync::{Arc, Mutex},
    };

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let bodies: Arc<Mutex<String>> = Arc::default();
    let received = Arc::clone(&bodies);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let received = Arc::clone(&received);
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.unwrap());
                let mut length = 0;
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
                    let header = line.trim().to_ascii_lowercase();
                    if let Some(value) = header.strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    line.clear();
                    if header.is_empty() {
                        let mut body = vec![0; length];
                        reader.read_exact(&mut body).unwrap();
                        received
                            .lock()
                            .unwrap()
                            .push_str(std::str::from_utf8(&body).unwrap());
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                        reader.get_mut().write_all(answer).unwrap();
                    }
                }
            });
        }
    });
    (url, bodies)
}

/// Checks that an observatory whose handle is dropped at once says that it has stopped, once.
fn check_dropped() {
    for case in ["dropped", "dropped early"] {
        let (_, log) = run(case, "");
        assert_eq!(
            log.matches("its handle was dropped at once").count(),
            1,
            "{case}: {log}"
        );
        println!("{case}: said once");
    }
    let (_, log) = run("info", "");
    assert!(!log.contains("dropped at once"), "{log}");
}

/// Checks that the log names each unknown metric of a rule once, and no metric of a query or in `absent()`.
#[cfg(feature = "alerting")]
fn check_unknown_metrics() {
    let (_, log) = run("unknown", "");
    for (name, count) in [
        (
            "`llm_router_dev_http_requests_total`: did you mean `llm_router_http_requests_total`?",
            1,
        ),
        ("`rows_total`", 1),
        ("heartbeat", 0),
        ("asked_total", 0),
    ] {
        assert_eq!(log.matches(name).count(), count, "{name}: {log}");
    }
    println!("unknown metrics: said once");
}
