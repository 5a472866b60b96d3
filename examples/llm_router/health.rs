//! Declares what the router needs: its engines, an optional Redis, and its own readiness.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use llm_observatory::health::{
    Check, CheckOptions, CheckResult, DependencyConfig, Health, HealthError,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Error;
use crate::models::Model;

/// Registers each embedded engine. The checks run on the router's runtime, which is current here.
pub(crate) fn register_engines(health: &Health, models: &[Arc<Model>]) -> Result<(), HealthError> {
    for model in models {
        let of_check = Arc::clone(model);
        let check = move || {
            let model = Arc::clone(&of_check);
            async move { engine(&model) }
        };
        health.register_dependency(&model.id, check, CheckOptions::default())?;
    }
    Ok(())
}

/// Returns the state of an engine. A full engine queues requests, and is healthy.
fn engine(model: &Model) -> CheckResult {
    if model.slots.is_closed() {
        return CheckResult::unhealthy("the engine is stopped");
    }
    let load = model.load_permille();
    CheckResult::healthy(format!("{} % of the slots in use", load / 10))
        .with_data("load_permille", load)
}

/// Registers the upstream server. Without it, the router cannot answer.
pub(crate) fn register_upstream(health: &Health, url: &str) -> Result<(), Error> {
    let check = Check::of(&DependencyConfig::openai(url).target)?;
    let options = CheckOptions::default().with_critical(true);
    Ok(health.register_dependency("upstream", check, options)?)
}

/// Registers a Redis server that the router needs.
pub(crate) fn register_redis(health: &Health, address: SocketAddr) -> Result<(), HealthError> {
    let options = CheckOptions::default()
        .with_critical(true)
        .with_interval(Duration::from_secs(1))
        .with_timeout(Duration::from_secs(1))
        .with_retries(0);
    let check = move || ping(address);
    health.register_dependency("redis", check, options)
}

async fn ping(address: SocketAddr) -> Result<CheckResult, std::io::Error> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await?;
    Ok(match &answer {
        b"+PONG\r\n" => CheckResult::healthy("PONG"),
        other => CheckResult::unhealthy(format!("answered {:?}", String::from_utf8_lossy(other))),
    })
}
