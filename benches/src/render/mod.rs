//! Measures the time to render many series, and the memory of each series.
//!
//! Each kind of registry runs in its own process, so that its memory is measured alone.

mod exporter;
mod ours;
mod prometheus_client;

use std::{env, fs, process::Command, thread, time::Instant};

use crate::{Failure, statistics::Median};

/// The number of series.
pub(crate) const SERIES: usize = 100_000;
/// The number of threads that touch each series before the memory is read.
const THREADS: usize = 8;
/// The number of renders whose median is reported. The first render, which may sort or drain, is reported separately.
const RENDERS: usize = 9;

/// Bounds of every histogram.
pub(crate) const BUCKETS: [f64; 12] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];
/// Labels of every series.
pub(crate) const LABELS: [&str; 4] = ["model_id", "model_type", "engine", "status"];

/// The kind of the series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Counter,
    Histogram,
}

/// The library that renders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Library {
    Ours,
    PrometheusClient,
    MetricsExporter,
}

impl Library {
    pub(crate) const ALL: [Self; 3] = [Self::Ours, Self::PrometheusClient, Self::MetricsExporter];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::PrometheusClient => "prometheus-client",
            Self::MetricsExporter => "metrics-exporter-prometheus",
        }
    }
}

/// A registry of some library.
trait Subject: Send + Sync {
    /// Adds 1 to series `number`, or records a value in it.
    fn touch(&self, number: usize);
    /// Does the periodic work that the library requires.
    fn upkeep(&self) {}
    fn render(&self) -> String;
}

/// The figures of one kind of series in one library.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) bytes_per_series: f64,
    pub(crate) first_milliseconds: f64,
    pub(crate) milliseconds: Median,
}

/// Measures in a separate process.
pub(crate) fn measure(library: Library, kind: Kind) -> Result<Figures, Failure> {
    let output = Command::new(env::current_exe()?)
        .args([
            "render-worker",
            argument(&library).as_str(),
            argument(&kind).as_str(),
        ])
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let numbers = text
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<Vec<f64>, _>>()?;
    match numbers[..] {
        [bytes_per_series, first_milliseconds, value, low, high] => Ok(Figures {
            bytes_per_series,
            first_milliseconds,
            milliseconds: Median { value, low, high },
        }),
        _ => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
    }
}

fn argument(value: &impl clap::ValueEnum) -> String {
    value
        .to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Runs in the worker process.
pub(crate) fn run_worker(library: Library, kind: Kind) -> Result<(), Failure> {
    let before = resident_bytes()?;
    let subject: Box<dyn Subject> = match library {
        Library::Ours => Box::new(ours::Ours::new(kind)),
        Library::PrometheusClient => prometheus_client::subject(kind),
        Library::MetricsExporter => Box::new(exporter::Exporter::new(kind)),
    };
    // One thread after the other, as threads of a pool meet a series over time.
    for _ in 0..THREADS {
        thread::scope(|scope| {
            scope.spawn(|| (0..SERIES).for_each(|number| subject.touch(number)));
        });
        subject.upkeep();
    }
    let bytes = (resident_bytes()? - before) / SERIES as f64;
    let mut times = Vec::new();
    for _ in 0..=RENDERS {
        let start = Instant::now();
        let text = subject.render();
        times.push(start.elapsed().as_secs_f64() * 1e3);
        let samples = text.lines().filter(|line| !line.starts_with('#')).count();
        assert!(samples >= SERIES, "{samples} samples were written");
    }
    let first = times.remove(0);
    let Median { value, low, high } = Median::of(times);
    println!("{bytes} {first} {value} {low} {high}");
    Ok(())
}

/// Returns the label values of series `number`.
fn label_values(number: usize) -> [String; 4] {
    [
        format!("model-{number:06}"),
        ["transformer", "moe", "ssm"][number % 3].to_owned(),
        ["vllm", "openai", "onnx", "candle"][number % 4].to_owned(),
        "success".to_owned(),
    ]
}

/// Returns the value that a histogram records, spread over its buckets.
fn value(number: usize) -> f64 {
    (number % 70_000) as f64 * 0.001
}

fn resident_bytes() -> Result<f64, Failure> {
    let pages: f64 = fs::read_to_string("/proc/self/statm")?
        .split(' ')
        .nth(1)
        .ok_or("statm has no second field")?
        .parse()?;
    Ok(pages * rustix::param::page_size() as f64)
}
