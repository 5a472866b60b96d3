//! CPU profiles: samples of the stacks of running threads, with the operation of each.

mod frames;
mod recording;
mod symbols;

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

pub(super) use self::recording::record_samples;
use self::{recording::Recorded, symbols::Symbols};
use super::{
    ProfilerError,
    pprof::{self, Builder},
    stacks::{Captions, Node, Stacks},
};

/// The name of samples outside any span.
const NO_OPERATION: &str = "(no span)";
/// The share of samples without which the profile says that samples are missing.
const MIN_SHARE: f64 = 0.9;

/// A CPU profile: the stacks of the threads that ran, with weights in samples.
#[derive(Clone, Debug)]
pub struct CpuProfile {
    stacks: Vec<ResolvedStack>,
    locations: BTreeMap<u64, Vec<ResolvedFrame>>,
    modules: Vec<(u64, u64, String)>,
    summary: CpuSummary,
}

/// The counts of a CPU profile.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CpuSummary {
    /// Seconds from the epoch to the start.
    pub started_unix_seconds: f64,
    /// The duration of the recording, in seconds.
    pub duration_seconds: f64,
    /// The CPU time of the process meanwhile, in seconds.
    pub cpu_seconds: f64,
    /// The requested number of samples per CPU-second.
    pub frequency_hz: u32,
    /// Recorded samples.
    pub samples: u64,
    /// Samples whose stack is incomplete at its outer end.
    pub truncated: u64,
    /// Missing samples by reason: `coalesced` (the kernel checks the timer at its own ticks, and merges signals),
    /// `busy`, `ring_full`, `too_many_stacks`.
    pub missed: BTreeMap<&'static str, u64>,
    /// CPU time that the signal handler took, in seconds.
    pub handler_seconds: f64,
    /// Samples by operation: by the innermost span that was entered.
    pub operations: BTreeMap<String, u64>,
    /// Sentences about anything that limits the profile.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug)]
struct ResolvedStack {
    operation: String,
    thread: String,
    /// Innermost first.
    addresses: Vec<u64>,
    count: u64,
}

#[derive(Clone, Debug)]
struct ResolvedFrame {
    function: String,
    file: String,
    line: u32,
}

/// A profile as JSON: its summary, and the tree of the flame graph.
#[derive(Serialize)]
struct Document<'a> {
    unit: &'static str,
    #[serde(flatten)]
    summary: &'a CpuSummary,
    root: Node,
}

impl CpuProfile {
    /// Resolves the addresses and labels of the samples.
    pub(super) fn new(
        recorded: &Recorded,
        (frequency_hz, started): (u32, Duration),
        operation: &dyn Fn(u64) -> Option<String>,
    ) -> Self {
        let mut symbols = Symbols::new(&recorded.modules);
        let mut locations: BTreeMap<u64, Vec<ResolvedFrame>> = BTreeMap::new();
        let mut operations: BTreeMap<String, u64> = BTreeMap::new();
        let mut stacks = Vec::with_capacity(recorded.stacks.len());
        for (stack, count) in &recorded.stacks {
            for address in &stack.addresses {
                locations.entry(*address).or_insert_with(|| {
                    let frames = symbols.resolve(*address).iter();
                    frames
                        .map(|frame| ResolvedFrame {
                            function: frame.function.clone(),
                            file: frame.file.clone(),
                            line: frame.line,
                        })
                        .collect()
                });
            }
            let name = operation(stack.label).unwrap_or_else(|| NO_OPERATION.to_owned());
            *operations.entry(name.clone()).or_default() += count;
            stacks.push(ResolvedStack {
                operation: name,
                thread: recorded
                    .threads
                    .get(&stack.thread)
                    .cloned()
                    .unwrap_or_default(),
                addresses: stack.addresses.clone(),
                count: *count,
            });
        }
        let mut summary = summary(recorded, frequency_hz);
        summary.started_unix_seconds = started.as_secs_f64();
        summary.operations = operations;
        summary.notes = notes(&summary, recorded, symbols.are_stripped());
        let modules = recorded.modules.iter();
        Self {
            stacks,
            locations,
            modules: modules
                .map(|module| {
                    let path = module.path.to_string_lossy().into_owned();
                    (module.range.start, module.range.end, path)
                })
                .collect(),
            summary,
        }
    }

    /// Returns the counts of the profile, and the sentences about its limits.
    #[must_use]
    pub fn summary(&self) -> &CpuSummary {
        &self.summary
    }

    /// Keeps only the samples of operations whose name contains `operation`: of a model, or of a route.
    #[must_use]
    pub fn filter(mut self, operation: &str) -> Self {
        self.stacks
            .retain(|stack| stack.operation.contains(operation));
        self.summary
            .operations
            .retain(|name, _| name.contains(operation));
        self.summary.samples = self.stacks.iter().map(|stack| stack.count).sum();
        if self.stacks.is_empty() {
            let note = format!("No sample belongs to an operation with `{operation}` in its name.");
            self.summary.notes.push(note);
        }
        self
    }

    /// Writes the profile in pprof's format, compressed by gzip: `go tool pprof` and speedscope read it.
    #[must_use]
    pub fn to_pprof(&self) -> Vec<u8> {
        let summary = &self.summary;
        let mut builder = Builder::new();
        let period = (summary.cpu_seconds * 1e9 / summary.samples.max(1) as f64) as i64;
        builder.profile.sample_type = vec![
            builder.value_type("samples", "count"),
            builder.value_type("cpu", "nanoseconds"),
        ];
        builder.profile.period_type = Some(builder.value_type("cpu", "nanoseconds"));
        builder.profile.period = period;
        builder.profile.time_nanos = (summary.started_unix_seconds * 1e9) as i64;
        builder.profile.duration_nanos = (summary.duration_seconds * 1e9) as i64;
        for note in &summary.notes {
            let comment = builder.string(note);
            builder.profile.comment.push(comment);
        }
        for (index, (start, end, path)) in self.modules.iter().enumerate() {
            let filename = builder.string(path);
            builder.profile.mapping.push(pprof::Mapping {
                id: index as u64 + 1,
                memory_start: *start,
                memory_limit: *end,
                filename,
                has_functions: true,
            });
        }
        let mut ids: BTreeMap<u64, u64> = BTreeMap::new();
        for (index, (address, frames)) in self.locations.iter().enumerate() {
            let id = index as u64 + 1;
            ids.insert(*address, id);
            let containing =
                |(start, end, _): &(u64, u64, String)| (*start..*end).contains(address);
            let mapping = self.modules.iter().position(containing);
            let line = frames.iter().map(|frame| pprof::Line {
                function_id: builder.function(&frame.function, &frame.file),
                line: frame.line.into(),
            });
            let line = line.collect();
            builder.profile.location.push(pprof::Location {
                id,
                mapping_id: mapping.map_or(0, |index| index as u64 + 1),
                address: *address,
                line,
            });
        }
        let keys = (builder.string("operation"), builder.string("thread"));
        for stack in &self.stacks {
            let label = [(keys.0, &stack.operation), (keys.1, &stack.thread)];
            let label = label.map(|(key, text)| pprof::Label {
                key,
                str: builder.string(text),
            });
            let count = stack.count.cast_signed();
            builder.profile.sample.push(pprof::Sample {
                location_id: stack.addresses.iter().map(|address| ids[address]).collect(),
                value: vec![count, count * period],
                label: label.to_vec(),
            });
        }
        builder.encode()
    }

    /// Writes the stacks in the folded form of `flamegraph.pl`: a line per stack, outermost frame first, with async
    /// frames folded.
    #[must_use]
    pub fn folded(&self) -> String {
        self.readable(false).folded()
    }

    /// Draws the flame graph as an SVG document.
    ///
    /// # Errors
    ///
    /// Returns an error if the document cannot be written.
    pub fn svg(&self) -> Result<String, ProfilerError> {
        self.draw(false)
    }

    /// Draws the flame graph with a row per operation below the root.
    ///
    /// # Errors
    ///
    /// Returns an error if the document cannot be written.
    pub fn svg_by_operation(&self) -> Result<String, ProfilerError> {
        self.draw(true)
    }

    /// Returns the summary and the tree of the flame graph as JSON: `root` has `name`, `value` and `children`.
    #[must_use]
    pub fn json(&self) -> String {
        let document = Document {
            unit: "samples",
            summary: &self.summary,
            root: self.readable(false).tree("all"),
        };
        // Strings, numbers and maps always serialise.
        serde_json::to_string(&document).unwrap_or_default()
    }

    fn draw(&self, by_operation: bool) -> Result<String, ProfilerError> {
        self.readable(by_operation).svg(&Captions {
            title: "CPU profile",
            unit: "samples",
            notes: &self.summary.notes,
        })
    }

    fn readable(&self, by_operation: bool) -> Stacks {
        let mut stacks = Stacks::default();
        for stack in &self.stacks {
            let names: Vec<&str> = stack
                .addresses
                .iter()
                .rev()
                .flat_map(|address| self.locations[address].iter().rev())
                .map(|frame| frame.function.as_str())
                .collect();
            let mut names = frames::readable(names.into_iter());
            if by_operation {
                names.insert(0, stack.operation.clone());
            }
            stacks.add(names, stack.count);
        }
        stacks
    }
}

fn summary(recorded: &Recorded, frequency_hz: u32) -> CpuSummary {
    let counters = &recorded.counters;
    let cpu_seconds = recorded.cpu_time.as_secs_f64();
    let received = counters.samples + counters.lost_busy + counters.lost_full;
    let expected = (cpu_seconds * f64::from(frequency_hz)) as u64;
    let missed = [
        ("busy", counters.lost_busy),
        ("coalesced", expected.saturating_sub(received)),
        ("ring_full", counters.lost_full),
        ("too_many_stacks", recorded.lost_stacks),
    ];
    CpuSummary {
        started_unix_seconds: 0.0,
        duration_seconds: recorded.duration.as_secs_f64(),
        cpu_seconds,
        frequency_hz,
        samples: counters.samples - recorded.lost_stacks,
        truncated: counters.truncated,
        missed: missed.into_iter().filter(|(_, count)| *count > 0).collect(),
        handler_seconds: counters.time_in_handler.as_secs_f64(),
        operations: BTreeMap::new(),
        notes: Vec::new(),
    }
}

/// Returns sentences about the counts, and about anything that limits the profile.
fn notes(summary: &CpuSummary, recorded: &Recorded, is_stripped: bool) -> Vec<String> {
    let CpuSummary {
        samples,
        cpu_seconds,
        duration_seconds,
        frequency_hz,
        ..
    } = summary;
    let mut notes = vec![format!(
        "{samples} samples of {cpu_seconds:.2} CPU-seconds in {duration_seconds:.1} s."
    )];
    if !recorded.has_signal {
        notes.push(
            "Another profiler has replaced the handler of SIGPROF; run one profiler at a time."
                .to_owned(),
        );
    }
    let expected = cpu_seconds * f64::from(*frequency_hz);
    if *samples == 0 && expected < 1.0 {
        notes.push(
            "The process used almost no CPU time, so there was nothing to sample; the span flame graph (/debug/pprof/spans) shows the time of waiting too.".to_owned(),
        );
    } else if *samples == 0 && recorded.has_signal {
        notes.push("No signal arrived: all threads block SIGPROF (SigBlk in /proc/self/status), or the system has no ITIMER_PROF.".to_owned());
    } else if (*samples as f64) < expected * MIN_SHARE {
        notes.push(format!(
            "{expected:.0} samples were expected at {frequency_hz} Hz: the kernel checks the timer at its ticks and merges signals, so compare shares, and no absolute numbers of samples."
        ));
    }
    if is_stripped {
        notes.push(
            "The executable has no symbols: build it without `strip`, and with `debug = \"line-tables-only\"`, for names.".to_owned(),
        );
    }
    notes
}
