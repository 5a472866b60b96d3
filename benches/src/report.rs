//! Reports the results as text and tables, for the terminal and for docs/benchmarks.md.

mod collectors;
mod plot;
mod router;
mod rules;
mod storm;
mod traces;

use std::{
    env,
    fmt::{self, Write as _},
    fs,
    path::Path,
};

use self::plot::{Bar, Plot};
use crate::{
    Failure, disabled,
    hot_path::{
        instructions, time,
        variants::{BASELINE, OURS, OURS_INTO_ATOMICS, PEER_TO_BEAT, VARIANTS},
    },
    middleware,
    render::{self, Kind, Library},
};

/// Maximum instructions of ours, relative to the baseline.
const MAX_INSTRUCTIONS_RATIO: f64 = 1.4;
/// Maximum instructions of ours over a foreign recorder of plain atomics, relative to the baseline.
const MAX_FOREIGN_RATIO: f64 = 3.0;
/// Maximum time that each of two threads on one label set adds, relative to one thread.
const MAX_CONTENDED_RATIO: f64 = 1.5;
/// Maximum render time of ours, relative to prometheus-client.
const MAX_RENDER_RATIO: f64 = 0.5;
/// Maximum bytes per counter and per 12-bucket histogram: those of prometheus-client when the targets were set.
const MAX_BYTES: [(Kind, f64); 2] = [(Kind::Counter, 298.0), (Kind::Histogram, 764.0)];

/// The common beginning of all commands.
const RUN: &str = "cargo run --release -p llm-observatory-benches --";

/// The text and the bars of the report.
#[derive(Default)]
pub(crate) struct Report {
    text: String,
    plot: Plot,
}

impl Report {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Counts instructions and allocations; returns whether ours are within their targets.
    pub(crate) fn instructions(&mut self) -> Result<bool, Failure> {
        self.section("Instructions and allocations", "hot-path instructions");
        self.line("Callgrind counts one annotated inference (the difference between two runs of different length).\n");
        self.line(
            "| variant | instructions | × c | allocations | description |\n|---|---:|---:|---:|---|",
        );
        let mut baseline = f64::NAN;
        let mut of_ours = (f64::NAN, f64::NAN);
        let mut of_foreign = (f64::NAN, f64::NAN);
        let mut bars = Vec::new();
        for variant in VARIANTS {
            let count = instructions::count(variant)?;
            if variant.name == BASELINE {
                baseline = count.instructions;
            }
            let ratio = count.instructions / baseline;
            if variant.name == OURS {
                of_ours = (ratio, count.allocations);
            }
            if variant.name == OURS_INTO_ATOMICS {
                of_foreign = (ratio, count.allocations);
            }
            let (name, about) = (variant.name, variant.about);
            self.line(format_args!(
                "| `{name}` | {:.0} | {ratio:.2} | {:.2} | {about} |",
                count.instructions, count.allocations
            ));
            bars.push(Bar::new(name, count.instructions, name.starts_with(OURS)));
        }
        self.plot.group("Instructions per inference", bars);
        let (ratio, allocations) = of_ours;
        self.line("");
        let is_short = self.target(
            format_args!("ours at most {MAX_INSTRUCTIONS_RATIO} × c in instructions"),
            format_args!("{ratio:.2}"),
            ratio <= MAX_INSTRUCTIONS_RATIO,
        );
        // A hash table of tracing may still grow once in thousands of spans.
        let is_free = self.target(
            "ours without allocation once its series exist",
            format_args!("{allocations:.2}"),
            allocations < 0.001,
        );
        let (ratio, allocations) = of_foreign;
        let is_foreign_short = self.target(
            format_args!("ours over a recorder of plain atomics at most {MAX_FOREIGN_RATIO} × c, without allocation"),
            format_args!("{ratio:.2}, {allocations:.2}"),
            ratio <= MAX_FOREIGN_RATIO && allocations < 0.001,
        );
        Ok(is_short && is_free && is_foreign_short)
    }

    pub(crate) fn time(&mut self) -> Result<(), Failure> {
        self.section("Time", "hot-path time");
        self.line("CPU time of the thread per inference, 20 blocks A B B A beside `c` (5 pairs of processes, 4 blocks each); median and its 95 % interval by order statistics.\n");
        self.line("| variant | ns | × c |\n|---|---:|---:|");
        let mut bars = Vec::new();
        for compared in time::compare_all()? {
            let name = compared.variant.name;
            self.line(format_args!(
                "| `{name}` | {:.0} | {:.2} |",
                compared.nanoseconds, compared.ratio
            ));
            let is_ours = name.starts_with(OURS);
            bars.push(Bar::new(name, compared.nanoseconds.value, is_ours));
        }
        self.plot.group("Nanoseconds per inference", bars);
        self.line("");
        let to_rival = time::compare_with_rival()?;
        self.target(
            format_args!("ours below `{PEER_TO_BEAT}`, the hand-written four series"),
            format_args!("× {to_rival:.2}"),
            to_rival.value < 1.0,
        );
        let contended = time::contend()?;
        self.target(
            format_args!("two threads on one label set: each adds at most {MAX_CONTENDED_RATIO} × the time that one thread adds to c"),
            format_args!(
                "{:.0} ns and {:.0} ns, × {:.2}",
                contended.one, contended.two, contended.ratio
            ),
            contended.ratio.value <= MAX_CONTENDED_RATIO,
        );
        Ok(())
    }

    pub(crate) fn render(&mut self) -> Result<(), Failure> {
        self.section("Render and memory", "render");
        self.line("100,000 series with four labels, after eight threads have touched each; histograms have 12 buckets. Memory is resident memory.\n");
        self.line("| kind | library | first render, ms | render, ms | bytes per series |\n|---|---|---:|---:|---:|");
        let mut targets = Vec::new();
        for (kind, most_bytes) in MAX_BYTES {
            let mut of_ours = (f64::NAN, f64::NAN);
            let mut bars = Vec::new();
            for library in Library::ALL {
                let figures = render::measure(library, kind)?;
                let name = library.name();
                self.line(format_args!(
                    "| {kind:?} | `{name}` | {:.0} | {:.0} | {:.0} |",
                    figures.first_milliseconds, figures.milliseconds, figures.bytes_per_series
                ));
                let median = figures.milliseconds.value;
                match library {
                    Library::Ours => of_ours = (median, figures.bytes_per_series),
                    Library::PrometheusClient => targets.push((
                        format!(
                            "{kind:?}: render in at most {MAX_RENDER_RATIO} × prometheus-client's time"
                        ),
                        format!("× {:.2}", of_ours.0 / median),
                        of_ours.0 <= MAX_RENDER_RATIO * median,
                    )),
                    Library::MetricsExporter => {}
                }
                bars.push(Bar::new(name, median, library == Library::Ours));
            }
            targets.push((
                format!("{kind:?}: at most {most_bytes} bytes per series"),
                format!("{:.0}", of_ours.1),
                of_ours.1 <= most_bytes,
            ));
            self.plot
                .group(format!("Render 100,000 × {kind:?}, ms"), bars);
        }
        self.line("");
        for (target, found, is_met) in targets {
            self.target(target, found, is_met);
        }
        Ok(())
    }

    pub(crate) fn disabled(&mut self) -> Result<(), Failure> {
        self.section("A disabled `trace!`", "disabled");
        self.line("| stack | ns |\n|---|---:|");
        for stack in disabled::Stack::ALL {
            let median = disabled::measure(stack)?;
            self.line(format_args!("| {} | {median:.2} |", stack.about()));
        }
        Ok(())
    }

    pub(crate) fn http(&mut self) -> Result<(), Failure> {
        self.section("One HTTP request", "http");
        self.line("CPU time of one GET through an axum router, its body read to the end, without a socket; 20 blocks A B B A beside axum alone (5 pairs of processes, 4 blocks each).\n");
        self.line("| around the router | ns | added, ns | description |\n|---|---:|---:|---|");
        let (mut ours, mut rival) = (f64::NAN, f64::INFINITY);
        for compared in middleware::compare_all()? {
            let variant = compared.variant;
            self.line(format_args!(
                "| `{}` | {:.0} | {:.0} | {} |",
                variant.name(),
                compared.nanoseconds,
                compared.added,
                variant.about()
            ));
            if variant == middleware::Variant::Ours {
                ours = compared.added.value;
            }
            if variant.is_rival() {
                rival = rival.min(compared.added.value);
            }
        }
        self.line("");
        self.target(
            "ours adds the least time among the layers that record metrics",
            format_args!("{ours:.0} ns beside {rival:.0} ns"),
            ours < rival,
        );
        Ok(())
    }

    /// Writes docs/benchmarks.md and docs/benchmarks.svg.
    pub(crate) fn save(&self) -> Result<(), Failure> {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        fs::create_dir_all(&docs)?;
        fs::write(docs.join("benchmarks.svg"), self.plot.to_svg())?;
        let cores = std::thread::available_parallelism()?;
        let head = format!(
            "# Benchmarks\n\nWritten by `{RUN} document` on a machine with {cores} cores, under other load. \
             Counts are exact; compare times only within a table. `--gate` exits with 1 if a count misses its target. \
             Each section names its own command.\n\n![Bars of the figures below](benchmarks.svg)\n"
        );
        fs::write(docs.join("benchmarks.md"), head + &self.text)?;
        Ok(())
    }

    fn section(&mut self, title: &str, command: &str) {
        self.line(format_args!("\n## {title}\n\n`{RUN} {command}`\n"));
    }

    fn target(&mut self, what: impl fmt::Display, found: impl fmt::Display, is_met: bool) -> bool {
        let verdict = if is_met { "met" } else { "**missed**" };
        self.line(format_args!("- Target: {what}: {found}, {verdict}."));
        is_met
    }

    fn line(&mut self, line: impl fmt::Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{line}");
    }
}
