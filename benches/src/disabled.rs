//! Measures a disabled `trace!`, with and without the Layer, and with and without an outer level filter.

use std::{env, hint::black_box, process::Command};

use llm_observatory::{MetricsSink, ObservatoryLayer, Registry, RegistryOptions, SinkOptions};
use rustix::time::{ClockId, clock_gettime};
use tracing::{level_filters::LevelFilter, trace};
use tracing_subscriber::{Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{Failure, statistics::Median};

/// A stack of Layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Stack {
    /// An INFO-filtered Layer alone.
    Without,
    /// The same with ours beside it.
    With,
    /// The same with an outer level filter, as `install` builds it.
    Filtered,
}

impl Stack {
    pub(crate) const ALL: [Self; 3] = [Self::Without, Self::With, Self::Filtered];

    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::Without => "a Layer filtered at INFO, without ours",
            Self::With => "the same with ours beside it, no outer level filter (`build`)",
            Self::Filtered => "the same with an outer level filter (`install`)",
        }
    }
}

/// A Layer that does nothing, as the target of the filter.
struct Quiet;

impl<S: tracing::Subscriber> Layer<S> for Quiet {}

const TURNS: usize = 100_000;
const BATCHES: usize = 30;

/// Returns the nanoseconds of one disabled `trace!`, measured in a separate process.
pub(crate) fn measure(stack: Stack) -> Result<Median, Failure> {
    let output = Command::new(env::current_exe()?)
        .args(["disabled-worker", argument(stack).as_str()])
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let numbers = text
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<Vec<f64>, _>>()?;
    match numbers[..] {
        [value, low, high] => Ok(Median { value, low, high }),
        _ => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
    }
}

fn argument(stack: Stack) -> String {
    clap::ValueEnum::to_possible_value(&stack)
        .map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Runs in the worker process.
pub(crate) fn run_worker(stack: Stack) {
    let ours = || {
        let registry = Registry::new(RegistryOptions::default()).expect("there are no buckets");
        ObservatoryLayer::new(MetricsSink::new(registry, SinkOptions::default()))
    };
    let quiet = Quiet.with_filter(LevelFilter::INFO);
    let registry = tracing_subscriber::registry().with(quiet);
    match stack {
        Stack::Without => registry.init(),
        Stack::With => registry.with(ours()).init(),
        Stack::Filtered => registry.with(ours()).with(LevelFilter::INFO).init(),
    }
    let samples = (0..BATCHES).map(|_| {
        let before = clock_gettime(ClockId::ThreadCPUTime);
        for turn in 0..TURNS {
            trace!(turn = black_box(turn), "nobody reads this");
        }
        let after = clock_gettime(ClockId::ThreadCPUTime);
        let seconds = (after.tv_sec - before.tv_sec) as f64;
        (seconds * 1e9 + (after.tv_nsec - before.tv_nsec) as f64) / TURNS as f64
    });
    let Median { value, low, high } = Median::of(samples.collect());
    println!("{value} {low} {high}");
}
