//! Tests health checks through the public API and over HTTP.
#![cfg(all(feature = "health", feature = "server"))]

mod built_in;
mod checks;
mod endpoints;

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use llm_observatory::{
    Config, Observatory,
    health::{
        Check, CheckKind, CheckOptions, CheckReport, CheckResult, CheckState, DependencyConfig,
        DependencyTarget, Health, HealthDetails, HealthError, HealthStatus,
    },
};
use serde_json::Value;
use tokio::runtime::Runtime;
use tracing_subscriber::Registry;

use super::server::get;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn config() -> Config {
    let mut config = Config::default().with_listen("127.0.0.1:0".parse().unwrap());
    config.health.watchdog.enabled = false;
    config.health.thresholds.cpu_percent = 100.0;
    config.health.thresholds.memory_percent = 100.0;
    config.health.thresholds.disk_percent = 100.0;
    config
}

fn build(config: Config) -> (Observatory, SocketAddr) {
    let (_, observatory) = Observatory::builder(config).build::<Registry>().unwrap();
    let address = observatory.listen_address().unwrap();
    (observatory, address)
}

/// An observatory without the built-in checks.
fn bare() -> (Observatory, SocketAddr, Health) {
    let (observatory, address) = build(config());
    let health = observatory.health();
    for name in health.names() {
        health.remove(&name).unwrap();
    }
    (observatory, address, health)
}

/// Runs all checks now, without a runtime of the test's thread.
fn run_now(health: &Health) -> llm_observatory::health::HealthReport {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(health.run_now())
}

fn check_of(health: &Health, name: &str) -> CheckReport {
    let report = health.report();
    report
        .checks
        .into_iter()
        .find(|check| check.name == name)
        .unwrap()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(MS(5));
    }
}

/// Returns the status code of a path.
fn code(address: SocketAddr, path: &str) -> u16 {
    let (head, _) = get(address, path, "");
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

fn json(address: SocketAddr, path: &str) -> Value {
    serde_json::from_slice(&get(address, path, "").1).unwrap()
}

fn once() -> CheckOptions {
    CheckOptions::default()
        .with_retries(0)
        .with_timeout(MS(300))
}

/// Releases blocked workers at the end of a test, also if the test fails: a runtime waits for its workers.
struct ReleaseOnDrop(Arc<AtomicBool>);

impl ReleaseOnDrop {
    fn new() -> (Self, Arc<AtomicBool>) {
        let is_over = Arc::new(AtomicBool::new(false));
        (Self(Arc::clone(&is_over)), is_over)
    }
}

impl Drop for ReleaseOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn multi_thread() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}
