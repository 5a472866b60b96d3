//! Measures the cost of llm-observatory beside its peers.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "the program prints its results, and panics if it cannot measure"
)]

#[expect(dead_code, reason = "used by the tests only")]
#[path = "../../tests/collector/mod.rs"]
mod collector;
mod collectors;
mod disabled;
mod hot_path;
mod idle;
mod middleware;
mod render;
mod report;
mod router;
mod rules;
mod statistics;
mod storm;

use std::{error::Error, process::ExitCode};

use clap::{Parser, Subcommand};

use hot_path::{instructions, variants, worker};
use report::Report;

/// An error of a measurement.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// Measures llm-observatory beside its peers.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Lists the measurements.
    List,
    /// One annotated inference: instructions, allocations and time, or one of them.
    HotPath {
        only: Option<HotPath>,
        /// Ends with 1 unless instructions and allocations are within their targets.
        #[arg(long)]
        gate: bool,
    },
    /// 100,000 counters and as many histograms: render time and memory.
    Render,
    /// Spans of sampled and unsampled traces: instructions and allocations.
    Traces {
        /// Ends with 1 unless every target is met.
        #[arg(long)]
        gate: bool,
    },
    /// A request of 64 polls inside three nested spans: instructions and allocations.
    Polls {
        /// Ends with 1 unless every target is met.
        #[arg(long)]
        gate: bool,
    },
    /// A disabled `trace!`.
    Disabled,
    /// 1,000 rules over 10,000 series, a tick and the memory of samples, beside a Prometheus (two minutes).
    Rules,
    /// 10,000 concurrent alerts: the rounds that evaluate them.
    Storm {
        /// Ends with 1 unless the target is met.
        #[arg(long)]
        gate: bool,
    },
    /// One HTTP request through a layer.
    Http,
    /// The example router under wrk, from the observatory off to everything on, and without load (five minutes).
    Router,
    /// The example router under wrk, with traces, beside collectors that misbehave (eight minutes).
    Collectors {
        /// Ends with 1 unless every target is met.
        #[arg(long)]
        gate: bool,
    },
    /// An observatory without load: CPU time by thread (one minute; with `--features traces` also sampler and watchdog).
    Idle,
    /// Everything, into docs/benchmarks.md and docs/benchmarks.svg.
    Document,
    #[command(hide = true)]
    Worker {
        name: String,
        counted: Option<usize>,
    },
    #[command(hide = true)]
    RenderWorker {
        library: render::Library,
        kind: render::Kind,
    },
    #[command(hide = true)]
    HttpWorker { variant: middleware::Variant },
    #[command(hide = true)]
    DisabledWorker { stack: disabled::Stack },
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum HotPath {
    Time,
    Instructions,
    Allocations,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// Returns `true` if every gate holds.
fn run(command: Command) -> Result<bool, Failure> {
    let mut report = Report::default();
    let mut is_within = true;
    match command {
        Command::List => {
            for variant in variants::VARIANTS {
                println!("{:24} {}", variant.name, variant.about);
            }
        }
        Command::HotPath { only, gate } => {
            // Both counts come from one run of callgrind.
            if only != Some(HotPath::Time) {
                is_within = report.instructions()? || !gate;
            }
            if only.is_none_or(|only| only == HotPath::Time) {
                report.time()?;
            }
        }
        Command::Render => report.render()?,
        Command::Traces { gate } => is_within = report.traces()? || !gate,
        Command::Polls { gate } => is_within = report.polls()? || !gate,
        Command::Disabled => report.disabled()?,
        Command::Rules => report.rules()?,
        Command::Storm { gate } => is_within = report.storm()? || !gate,
        Command::Http => report.http()?,
        Command::Router => report.router()?,
        Command::Collectors { gate } => is_within = report.collectors()? || !gate,
        Command::Idle => idle::measure()?,
        Command::Document => {
            report.instructions()?;
            report.time()?;
            report.render()?;
            report.disabled()?;
            report.rules()?;
            report.storm()?;
            if !variants::TRACES.is_empty() {
                report.traces()?;
                report.polls()?;
            }
            report.http()?;
            report.router()?;
            report.collectors()?;
            report.save()?;
        }
        Command::Worker { name, counted } => {
            let variant = variants::named(&name).ok_or("there is no such variant")?;
            match counted {
                Some(turns) => instructions::run_counted(variant, turns),
                None => worker::serve(variant)?,
            }
        }
        Command::RenderWorker { library, kind } => render::run_worker(library, kind)?,
        Command::HttpWorker { variant } => middleware::run_worker(variant)?,
        Command::DisabledWorker { stack } => disabled::run_worker(stack),
    }
    print!("{}", report.text());
    Ok(is_within)
}
