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
const HIDES: &str = "a filter of the subscriber";

fn main() {
    match env::var(CASE) {
        Ok(case) => child(&case),
        Err(_) => parent(),
    }
}

/// Runs a short job whose subscriber has the case as its global filter, and prints what `/status` says.
fn child(case: &str) {
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

/// Runs a case in both orders, and checks the observations, the lines on standard error, and the problems in the status.
fn check(case: &str, observations: u64, lines: usize, problems: usize) {
    for order in ["--outside", "--inside"] {
        let Output {
            status,
            stdout,
            stderr,
        } = Command::new(env::current_exe().unwrap())
            .arg(order)
            .env(CASE, case)
            .env_remove("RUST_LOG")
            .output()
            .unwrap();
        let (out, log) = (
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr),
        );
        assert!(status.success(), "{case}: {log}");
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
}
