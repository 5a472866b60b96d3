//! Redis as a dependency of the example router, which stops and comes back.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::{
    process::{Process, block_on, free_port, is_here, wait_for},
    router::start,
};

/// Starts Redis on a port, without storage.
fn redis(port: u16) -> Process {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
    command.args(["--save", "", "--appendonly", "no"]);
    command.current_dir(std::env::temp_dir());
    Process(
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    )
}

/// Returns the status code of a GET.
fn code(url: &str) -> u16 {
    block_on(async { reqwest::get(url).await.unwrap().status().as_u16() })
}

#[test]
fn a_router_without_its_redis_is_alive_and_not_ready_until_redis_returns() {
    if !is_here("redis-server") {
        return;
    }
    let port = free_port();
    let stopped = redis(port);
    let address = format!("127.0.0.1:{port}");
    let router = start(&["--no-client", "--redis", &address]);
    let url = |path: &str| format!("http://{}{path}", router.monitor);
    let becomes = |expected: u16| {
        let begun = Instant::now();
        wait_for(
            &format!("status {expected}"),
            Duration::from_secs(20),
            || (code(&url("/health/ready")) == expected).then_some(()),
        );
        begun.elapsed()
    };
    becomes(200);
    assert_eq!(code(&url("/health/startup")), 200);
    drop(stopped);
    let took = becomes(503);
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!(code(&url("/health/live")), 200);
    assert_eq!(code(&url("/health/startup")), 200);
    let report = block_on(async {
        let answer = reqwest::get(url("/health/ready")).await.unwrap();
        answer.json::<serde_json::Value>().await.unwrap()
    });
    assert_eq!(report["decided_by"], "redis", "{report:#}");
    let message = report["message"].as_str().unwrap();
    assert!(message.contains("refused"), "{message}");
    let _started = redis(port);
    becomes(200);
}
