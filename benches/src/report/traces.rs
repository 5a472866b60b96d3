//! The report of spans of traces.

use super::Report;
use crate::{
    Failure,
    hot_path::{
        instructions::{self, Threads},
        variants::{POLLS, TRACES},
    },
};

/// Turns of the shorter run with traces, which waits for the batches of a tree.
const TRACES_TURNS: usize = 1_000;
/// Maximum instructions of a span that is sampled out.
const MAX_SAMPLED_OUT_INSTRUCTIONS: f64 = 1_800.0;
/// Maximum cost of a tree that is sampled out, and of a tree that is sampled in, relative to tracing-opentelemetry.
const MAX_OUT_TREE_RATIO: f64 = 0.2;
const MAX_IN_TREE_RATIO: f64 = 1.1;
/// Maximum cost of tail sampling on the application's threads: only noise, since it runs on another thread.
const MAX_TAIL_RATIO: f64 = 1.05;

/// Maximum allocations of a tree with an exporter, relative to tracing-opentelemetry, the encoding apart.
const MAX_EXPORTED_ALLOCATIONS_RATIO: f64 = 1.3;
/// Maximum instructions of a request of 64 polls that is sampled out, relative to metrics alone.
const MAX_POLLS_RATIO: f64 = 1.1;
/// Maximum instructions of a request of 64 polls with the journal, relative to metrics alone. The journal reads the clock at
/// each enter and exit. The aim is 1.5; until then, the journal is off in the presets `production` and `vps`.
const MAX_JOURNAL_RATIO: f64 = 1.9;
/// Maximum allocations that a request of 64 polls has beside those of metrics alone, on its own thread.
const MAX_POLLS_ALLOCATIONS: f64 = 0.001;

impl Report {
    /// Counts the spans of traces; returns whether ours are within their targets.
    pub(crate) fn traces(&mut self) -> Result<bool, Failure> {
        if TRACES.is_empty() {
            return Err("traces are measured with `--features traces`: cargo run --release -p llm-observatory-benches --features traces -- traces".into());
        }
        self.line("\n## Traces\n\n`cargo run --release -p llm-observatory-benches --features traces -- traces`\n");
        self.line("Callgrind counts the thread that makes the spans. Batches are exported between the counted pieces. Allocations are counted on every thread, so the allocations of our sampled-in tree include the encoding of its batch, which `in-tree-tracing-opentelemetry-encoded` does by the same code.\n");
        self.line("| variant | instructions | allocations | description |\n|---|---:|---:|---|");
        let mut counts = Vec::new();
        for variant in TRACES {
            let count = instructions::count_over(variant, TRACES_TURNS, Threads::All)?;
            self.line(format_args!(
                "| `{}` | {:.0} | {:.2} | {} |",
                variant.name, count.instructions, count.allocations, variant.about
            ));
            counts.push(count);
        }
        self.line("");
        let [
            out,
            _,
            out_tree,
            their_out_tree,
            in_tree,
            their_in_tree,
            their_encoded,
            live,
            tail,
            _,
            _,
        ] = counts[..]
        else {
            return Err("there are other variants than those that are judged".into());
        };
        let is_short = self.target(
            format_args!(
                "a span that is sampled out takes at most {MAX_SAMPLED_OUT_INSTRUCTIONS} instructions"
            ),
            format_args!("{:.0}", out.instructions),
            out.instructions <= MAX_SAMPLED_OUT_INSTRUCTIONS,
        );
        let is_free = self.target(
            "a span that is sampled out allocates nothing",
            format_args!("{:.2}", out.allocations),
            out.allocations < 0.001,
        );
        let ratio = out_tree.instructions / their_out_tree.instructions;
        let is_cheap = self.target(
            format_args!(
                "a tree that is sampled out takes at most {MAX_OUT_TREE_RATIO} × tracing-opentelemetry's"
            ),
            format_args!("× {ratio:.2}"),
            ratio <= MAX_OUT_TREE_RATIO,
        );
        let ratio = in_tree.instructions / their_in_tree.instructions;
        let is_near = self.target(
            format_args!(
                "a tree that is sampled in takes at most {MAX_IN_TREE_RATIO} × tracing-opentelemetry's"
            ),
            format_args!("× {ratio:.2}"),
            ratio <= MAX_IN_TREE_RATIO,
        );
        let theirs = their_in_tree.allocations;
        let is_lean = self.target(
            "a tree in the live view without an exporter allocates at most as often as tracing-opentelemetry's tree",
            format_args!("{:.0} beside {theirs:.0}", live.allocations),
            live.allocations <= theirs,
        );
        let encoding = their_encoded.allocations - theirs;
        let own = in_tree.allocations - encoding;
        let is_exported_lean = self.target(
            format_args!(
                "a tree with an exporter allocates at most {MAX_EXPORTED_ALLOCATIONS_RATIO} × as often, without the {encoding:.0} allocations of the encoding"
            ),
            format_args!("{own:.0} beside {theirs:.0}, × {:.2}", own / theirs),
            own <= MAX_EXPORTED_ALLOCATIONS_RATIO * theirs,
        );
        let ratio = tail.instructions / in_tree.instructions;
        let is_elsewhere = self.target(
            format_args!("tail sampling takes at most {MAX_TAIL_RATIO} × the same tree without it"),
            format_args!("× {ratio:.2}"),
            ratio <= MAX_TAIL_RATIO,
        );
        Ok(is_short
            && is_free
            && is_cheap
            && is_near
            && is_lean
            && is_exported_lean
            && is_elsewhere)
    }

    /// Counts a request of 64 polls; returns whether ours are within their targets.
    pub(crate) fn polls(&mut self) -> Result<bool, Failure> {
        if POLLS.is_empty() {
            return Err("polls are measured with `--features traces`: cargo run --release -p llm-observatory-benches --features traces -- polls".into());
        }
        self.line("\n## Polls\n\n`cargo run --release -p llm-observatory-benches --features traces -- polls`\n");
        self.line("Callgrind counts the thread of a request of 64 polls inside three nested spans; each poll enters and exits each span, as in a streamed answer. The allocations are those of the same thread.\n");
        self.line("| variant | instructions | × metrics alone | allocations | description |\n|---|---:|---:|---:|---|");
        let mut counts = Vec::new();
        for variant in POLLS {
            let count = instructions::count_over(variant, TRACES_TURNS, Threads::Own)?;
            counts.push(count);
            self.line(format_args!(
                "| `{}` | {:.0} | {:.2} | {:.2} | {} |",
                variant.name,
                count.instructions,
                count.instructions / counts[0].instructions,
                count.allocations,
                variant.about
            ));
        }
        self.line("");
        let [alone, watched, out, journal, ..] = counts[..] else {
            return Err("there are other variants than those that are judged".into());
        };
        let mut is_within = true;
        for (name, count, max) in [
            ("the watchdog", watched, MAX_POLLS_RATIO),
            ("sampled out", out, MAX_POLLS_RATIO),
            ("the journal", journal, MAX_JOURNAL_RATIO),
        ] {
            let ratio = count.instructions / alone.instructions;
            is_within &= self.target(
                format_args!("{name} takes at most {max} × metrics alone"),
                format_args!("× {ratio:.3}"),
                ratio <= max,
            );
        }
        for (name, count) in [("the watchdog", watched), ("the journal", journal)] {
            let more = count.allocations - alone.allocations;
            is_within &= self.target(
                format_args!("{name} allocates nothing"),
                format_args!("{more:.3} more"),
                more <= MAX_POLLS_ALLOCATIONS,
            );
        }
        Ok(is_within)
    }
}
