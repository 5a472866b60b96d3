//! Measures the latency of the example router beside collectors that misbehave, under wrk.
//!
//! There is a router for each behaviour. All routers run all the time, and are loaded in turns. Each turn is next to a
//! turn of the router whose collector accepts everything, so that other load of the machine affects both.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::{NamedTempFile, TempDir};

use crate::{
    Failure,
    collector::{Collector, Manner},
    router::{BUILD, Router, SCRIPT},
    statistics::Median,
};

pub(crate) const ROUNDS: usize = 12;
pub(crate) const SECONDS: u32 = 1;

/// The load on the routers.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) speed: &'static str,
    pub(crate) connections: u64,
    pub(crate) meaning: &'static str,
}

/// One load with so few connections that requests do not wait for the processor, and one with so many that they do.
pub(crate) const LOADS: [Load; 2] = [
    Load {
        speed: "20",
        connections: 16,
        meaning: "engines are the limit",
    },
    Load {
        speed: "1000",
        connections: 64,
        meaning: "the machine is the limit",
    },
];

/// A compared case: its name, the collector's behaviour, and its behaviour in the second half.
type Case = (&'static str, Option<(Manner, Manner)>);

/// The case that the others are compared with.
const REFERENCE: usize = 1;
const CASES: [Case; 9] = [
    ("no traces", None),
    ("takes", Some((Manner::Takes, Manner::Takes))),
    ("refuses", Some((Manner::Refuses, Manner::Refuses))),
    ("hangs", Some((Manner::Hangs, Manner::Hangs))),
    (
        "answers 500",
        Some((Manner::Fails(500), Manner::Fails(500))),
    ),
    (
        "answers 503",
        Some((Manner::Fails(503), Manner::Fails(503))),
    ),
    ("takes a second", Some((SLOW, SLOW))),
    (
        "refuses, then takes",
        Some((Manner::Refuses, Manner::Takes)),
    ),
    ("hangs, then takes", Some((Manner::Hangs, Manner::Takes))),
];
const SLOW: Manner = Manner::Slow(Duration::from_secs(1));

/// Spans of a start: the models are loaded, and one connection tests whether the router listens.
const SPANS_OF_START: u64 = 4 + 1;

/// Prints the values that are parsed below; times are in microseconds.
const DONE: &str = r#"
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format("measured %d %d %d %d %d\n", latency:percentile(50), latency:percentile(99), summary.requests,
    summary.duration, errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"#;

/// The figures of one behaviour beside a collector that accepts everything.
pub(crate) struct Compared {
    pub(crate) name: &'static str,
    pub(crate) is_usual: bool,
    pub(crate) median_milliseconds: Median,
    pub(crate) per_second: Median,
    /// Ratio to the collector that accepts everything, in the neighbouring turn.
    pub(crate) median: Median,
    pub(crate) ninety_ninth: Median,
    pub(crate) throughput: Median,
    /// Requests per second of the router's CPU time.
    pub(crate) per_cpu_second: Median,
    pub(crate) grown_mebibytes: f64,
    pub(crate) spans: Option<Spans>,
}

/// The results of the spans.
pub(crate) struct Spans {
    /// The number of spans, from the router's ledger and from wrk.
    pub(crate) produced: u64,
    pub(crate) exported: u64,
    pub(crate) dropped: u64,
    pub(crate) failed: u64,
    /// All warnings and errors in the log.
    pub(crate) lines: usize,
    pub(crate) minutes: f64,
    /// The time until a recovered collector received spans.
    pub(crate) back_seconds: Option<f64>,
}

struct Running {
    case: Case,
    router: Router,
    collector: Option<Collector>,
    folder: TempDir,
    started: Instant,
    resident_bytes: u64,
    /// The number of turns.
    loads: u64,
    /// Its own turns, and the neighbouring turns.
    turns: Vec<(Turn, Turn)>,
}

/// The results of wrk.
#[derive(Clone, Copy)]
struct Turn {
    median: f64,
    ninety_ninth: f64,
    per_second: f64,
    per_cpu_second: f64,
}

impl Running {
    fn start(case: Case, load: Load) -> Result<Self, Failure> {
        let collector = case
            .1
            .map(|(manner, _)| Collector::start(manner, |_| 0))
            .transpose()?;
        let folder = TempDir::new()?;
        let file = |name: &str| File::create(folder.path().join(name)).map(Stdio::from);
        let (report, log) = (file("report")?, file("log")?);
        let router = Router::start(load.speed, |command| {
            command
                .args(["--summary", "json"])
                .env("RUST_LOG", "warn")
                .env("OTEL_TRACES_EXPORTER", "none")
                .stdout(report)
                .stderr(log);
            if let Some(collector) = &collector {
                command
                    .env("OTEL_TRACES_EXPORTER", "otlp")
                    .env("OTEL_TRACES_SAMPLER", "always_on")
                    .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
                    .env(
                        "OTEL_EXPORTER_OTLP_ENDPOINT",
                        format!("http://{}", collector.address),
                    );
            }
        })?;
        Ok(Self {
            case,
            router,
            collector,
            folder,
            started: Instant::now(),
            resident_bytes: 0,
            loads: 0,
            turns: Vec::new(),
        })
    }

    fn load(&mut self, script: &Path, load: Load) -> Result<Turn, Failure> {
        self.loads += 1;
        let before = self.router.cpu_seconds()?;
        let output = Command::new("wrk")
            .args(["--threads", "1", "--connections"])
            .arg(load.connections.to_string())
            .args(["--duration", &format!("{SECONDS}s"), "--script"])
            .arg(script)
            .arg(&self.router.url)
            .output()?;
        let used = self.router.cpu_seconds()? - before;
        let text = String::from_utf8(output.stdout)?;
        let line = text.lines().find_map(|line| line.strip_prefix("measured "));
        let numbers: Vec<f64> = line
            .ok_or_else(|| text.clone())?
            .split(' ')
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        let [median, ninety_ninth, requests, duration, errors] = numbers[..] else {
            return Err(text.into());
        };
        if errors > 0.0 || requests == 0.0 {
            return Err(format!("{}: not all requests were answered: {text}", self.case.0).into());
        }
        Ok(Turn {
            median,
            ninety_ninth,
            per_second: requests / duration * 1e6,
            per_cpu_second: requests / used,
        })
    }

    /// Reads a field of `/proc/PID/status`.
    fn bytes(&self, field: &str) -> Result<u64, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.router.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(number.ok_or("no /proc/PID/status")?.parse::<u64>()? << 10)
    }

    /// Stops the router as a user would, and reads the results of its spans.
    fn end(mut self, load: Load, back: Instant) -> Result<Compared, Failure> {
        let grown = self.bytes("VmHWM:")?.saturating_sub(self.resident_bytes);
        let id = i32::try_from(self.router.process.id())
            .ok()
            .and_then(Pid::from_raw);
        kill_process(id.ok_or("no process")?, Signal::INT)?;
        let minutes = self.started.elapsed().as_secs_f64() / 60.0;
        let status = self.router.process.wait()?;
        let log = fs::read_to_string(self.folder.path().join("log"))?;
        if !status.success() {
            return Err(format!("{}: {status}: {log}", self.case.0).into());
        }
        let spans = match &self.collector {
            Some(collector) => {
                let came_back = self.case.1.is_some_and(|(first, then)| first != then);
                let first = collector.taken().first().map(|taken| taken.at);
                let after = first.map(|at| at.saturating_duration_since(back).as_secs_f64());
                let [exported, dropped, failed] = accounts(&log)?;
                Some(Spans {
                    produced: self.produced(load)?,
                    exported,
                    dropped,
                    failed,
                    lines: log.lines().filter(|line| is_complaint(line)).count(),
                    minutes,
                    back_seconds: after.filter(|_| came_back),
                })
            }
            None => None,
        };
        let turns = &self.turns;
        let each =
            |of: fn(&Turn) -> f64| Median::of(turns.iter().map(|(own, _)| of(own)).collect());
        let ratio = |of: fn(&Turn) -> f64| {
            let ratios = turns.iter().map(|(own, usual)| of(own) / of(usual));
            Median::of(ratios.collect())
        };
        Ok(Compared {
            name: self.case.0,
            is_usual: self.case == CASES[REFERENCE],
            median_milliseconds: each(|turn| turn.median / 1e3),
            per_second: each(|turn| turn.per_second),
            median: ratio(|turn| turn.median),
            ninety_ninth: ratio(|turn| turn.ninety_ninth),
            throughput: ratio(|turn| turn.per_second),
            per_cpu_second: ratio(|turn| turn.per_cpu_second),
            grown_mebibytes: grown as f64 / f64::from(1 << 20),
            spans,
        })
    }

    /// Each request, inference and selection of a model in the ledger, and each connection of wrk, is a span.
    fn produced(&self, load: Load) -> Result<u64, Failure> {
        let report: Value = serde_json::from_slice(&fs::read(self.folder.path().join("report"))?)?;
        let rows = report["rows"].as_array().ok_or("the report has no rows")?;
        let of_ledger = rows.iter().filter_map(|row| {
            let name = row["name"].as_str()?;
            let starts = ["inferences, ", "routing decisions", "http "];
            let is_span = starts.iter().any(|start| name.starts_with(start));
            row["ledger"].as_u64().filter(|_| is_span)
        });
        // wrk tests the address before it starts the load.
        Ok(of_ledger.sum::<u64>() + self.loads * (load.connections + 1) + SPANS_OF_START)
    }
}

/// The router's own final counts: exported, dropped and failed.
fn accounts(log: &str) -> Result<[u64; 3], Failure> {
    let line = log
        .lines()
        .find_map(|line| line.strip_prefix("spans to otlp: "));
    let line =
        line.ok_or_else(|| format!("it exports no traces; build it anew: {BUILD}\n{log}"))?;
    let count = |result: &str| {
        let mut parts = line.split(", ").filter_map(|part| part.split_once(' '));
        let (count, _) = parts.find(|(_, name)| *name == result)?;
        count.parse().ok()
    };
    let counts = [count("exported"), count("dropped"), count("failed")];
    match counts {
        [Some(exported), Some(dropped), Some(failed)] => Ok([exported, dropped, failed]),
        _ => Err(line.into()),
    }
}

fn is_complaint(line: &str) -> bool {
    line.contains(" WARN ") || line.contains(" ERROR ")
}

/// Compares all behaviours under this load.
pub(crate) fn compare(load: Load) -> Result<Vec<Compared>, Failure> {
    let mut script = NamedTempFile::new()?;
    script.write_all(SCRIPT.as_bytes())?;
    script.write_all(DONE.as_bytes())?;
    let mut all = Vec::new();
    for case in CASES {
        let mut running = Running::start(case, load)?;
        // The router is warm: its threads and connections have allocated their memory.
        running.load(script.path(), load)?;
        running.resident_bytes = running.bytes("VmRSS:")?;
        all.push(running);
    }
    let mut back = Instant::now();
    for round in 0..ROUNDS {
        if round == ROUNDS / 2 {
            back = Instant::now();
            for running in &all {
                if let (Some(collector), Some((_, then))) = (&running.collector, running.case.1) {
                    collector.becomes(then);
                }
            }
        }
        for place in (0..all.len()).filter(|place| *place != REFERENCE) {
            let mut turn = |place: usize| all[place].load(script.path(), load);
            // In alternating order: the first of one round is the last of the next.
            let (own, usual) = if round % 2 == 0 {
                (turn(place)?, turn(REFERENCE)?)
            } else {
                let usual = turn(REFERENCE)?;
                (turn(place)?, usual)
            };
            all[place].turns.push((own, usual));
            all[REFERENCE].turns.push((usual, usual));
        }
    }
    all.into_iter()
        .map(|running| running.end(load, back))
        .collect()
}
