//! An OpenAI-compatible LLM router that is monitored by `llm-observatory` and checks its own metrics.
//!
//! ```text
//! cargo run --release --all-features --example llm_router                        random traffic until Ctrl-C
//! cargo run --release --all-features --example llm_router -- --trace FILE --speed 60 --fault-rate 0.02
//! --disconnect-rate 0.03 cargo run --release --all-features --example llm_router -- --no-client         for your own
//! clients
//! ```
//!
//! The monitoring of the service is in `inference.rs`, the layer in `server.rs`, the client in `engine/upstream.rs` and
//! the wrappers in `routing.rs` and `cache.rs`; `models.rs` uses plain `#[instrument]`. `monitor.rs` installs the
//! observatory. Everything else is a router, its traffic (`client/`) and the comparison at the end (`http.rs`,
//! `ledger.rs`, `report/`).

mod cache;
mod chat;
mod cli;
mod client;
mod engine;
mod faults;
mod health;
mod http;
mod inference;
mod ledger;
mod models;
mod monitor;
mod openai;
mod report;
mod routing;
mod run;
mod server;
mod sse;
mod text;

use std::process::ExitCode;

use clap::Parser as _;
use llm_observatory::Format;

use crate::cli::Cli;

/// A failure to start or to finish. Its text names the remedy.
type Error = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            let causes = std::iter::successors(error.source(), |cause| cause.source());
            let causes: Vec<_> = causes.map(|cause| format!(": {cause}")).collect();
            eprintln!("llm_router: {error}{}", causes.concat());
            ExitCode::from(2)
        }
    }
}

/// Returns whether the three columns agree.
fn run(cli: &Cli) -> Result<bool, Error> {
    let observatory = monitor::install(cli.monitor).map_err(|source| run::StartError::Monitor {
        address: cli.monitor,
        source,
    })?;
    let monitor = observatory.listen_address();

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    // The observatory starts before the runtime, so its watchdog is told of the runtime.
    let watchdog = observatory.watchdog();
    watchdog.register_runtime("main", runtime.handle());
    let report = runtime.block_on(run::run(cli, monitor, &observatory.health()))?;
    report.print(cli.summary)?;
    if let Some(linger) = cli.linger {
        std::thread::sleep(linger);
    }
    observatory.shutdown_blocking();
    // The results of the exporters are complete only after the shutdown.
    eprint!(
        "{}",
        report::spans(&observatory.export_metrics(Format::Prometheus))
    );
    Ok(report.holds())
}
