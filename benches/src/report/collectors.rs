//! The section of the report on a router and its collector.

use super::{Bar, Report};
use crate::{
    Failure,
    collectors::{self, Compared, LOADS, ROUNDS, SECONDS, Spans},
    router::BUILD,
};

/// Maximum median latency beside a collector that misbehaves, relative to a collector that accepts everything.
const MAX_LATENCY_RATIO: f64 = 1.05;
/// Minimum throughput beside such a collector.
const MIN_THROUGHPUT: f64 = 0.97;
/// Maximum growth of a router under load: two queues, the latest traces, and the allocator's reserve.
const MAX_MEBIBYTES: f64 = 32.0;

impl Report {
    /// Measures the router beside collectors that misbehave; returns whether its targets are met.
    pub(crate) fn collectors(&mut self) -> Result<bool, Failure> {
        self.section("The router beside collectors that misbehave", "collectors");
        self.line(format_args!(
            "The example router (`{BUILD}`) exports every trace by OTLP over HTTP, with the defaults of its batches, to a collector for each manner; \
             wrk loads them in turns of {SECONDS} s, each beside one of the router whose collector takes everything, {ROUNDS} pairs A B B A; each request is a streamed answer of 64 tokens. \
             Ratios are within these pairs; a collector that comes back does so after half of them. \
             Spans are those that the router's ledger accounts for, with a connection each of wrk's; what became of them is the router's own account after its end. \
             Memory is the most that was resident, above what was after the first turn.\n"
        ));
        let mut is_within = true;
        for load in LOADS {
            let all = collectors::compare(load)?;
            let (meaning, speed, connections) = (load.meaning, load.speed, load.connections);
            self.line(format_args!(
                "{connections} connections, {meaning} (speed {speed}):\n"
            ));
            self.manners(&all);
            if load.speed == LOADS[0].speed {
                let bar = |compared: &Compared| {
                    let is_ours = compared.spans.is_some() && !compared.is_usual;
                    Bar::new(compared.name, compared.median_milliseconds.value, is_ours)
                };
                let title = "Median latency of the router beside a collector, ms";
                self.plot.group(title, all.iter().map(bar).collect());
                is_within &= self.is_unmoved(&all);
            } else {
                let least = bad(&all).map(|compared| compared.throughput.value);
                let least = least.fold(f64::INFINITY, f64::min);
                is_within &= self.target(
                    format_args!(
                        "at least {MIN_THROUGHPUT} of the throughput, whatever the collector does"
                    ),
                    format_args!("{least:.3}"),
                    least >= MIN_THROUGHPUT,
                );
            }
            is_within &= self.is_kept(&all);
            self.line("");
        }
        Ok(is_within)
    }

    fn manners(&mut self, all: &[Compared]) {
        self.line("| the collector | p50, ms | p50, ratio | p99, ratio | per second | per second, ratio | per second of CPU time, ratio | memory, MiB |\n|---|---:|---:|---:|---:|---:|---:|---:|");
        for compared in all {
            self.line(format_args!(
                "| {} | {:.1} | {:.3} | {:.3} | {:.0} | {:.3} | {:.3} | {:.0} |",
                compared.name,
                compared.median_milliseconds,
                compared.median,
                compared.ninety_ninth,
                compared.per_second,
                compared.throughput,
                compared.per_cpu_second,
                compared.grown_mebibytes
            ));
        }
        self.line("\n| the collector | spans | exported | dropped | failed | warnings a minute | spans again after, s |\n|---|---:|---:|---:|---:|---:|---:|");
        for compared in all {
            let Some(spans) = &compared.spans else {
                continue;
            };
            let after = spans.back_seconds.map(|seconds| format!("{seconds:.1}"));
            self.line(format_args!(
                "| {} | {} | {} | {} | {} | {:.1} | {} |",
                compared.name,
                spans.produced,
                spans.exported,
                spans.dropped,
                spans.failed,
                spans.lines as f64 / spans.minutes,
                after.unwrap_or_default()
            ));
        }
        self.line("");
    }

    fn is_unmoved(&mut self, all: &[Compared]) -> bool {
        let most = bad(all).map(|compared| compared.median.value);
        let most = most.fold(0.0, f64::max);
        self.target(
            format_args!(
                "median latency at most {MAX_LATENCY_RATIO} × the latency beside a collector that accepts everything"
            ),
            format_args!("{most:.3}"),
            most <= MAX_LATENCY_RATIO,
        )
    }

    /// Checks that spans are accounted for, memory is bounded and the log is quiet.
    fn is_kept(&mut self, all: &[Compared]) -> bool {
        let spans = || all.iter().filter_map(|compared| compared.spans.as_ref());
        let left = |spans: &Spans| {
            let accounted = spans.exported + spans.dropped + spans.failed;
            spans.produced.abs_diff(accounted)
        };
        let unaccounted: u64 = spans().map(left).sum();
        let is_exact = self.target(
            "every span exported, dropped or failed",
            format_args!("{unaccounted} are not"),
            unaccounted == 0,
        );
        let most = all.iter().map(|compared| compared.grown_mebibytes);
        let most = most.fold(0.0, f64::max);
        let is_bounded = self.target(
            format_args!("memory grows by at most {MAX_MEBIBYTES} MiB"),
            format_args!("{most:.0} MiB"),
            most <= MAX_MEBIBYTES,
        );
        // The first warning is immediate.
        let loudest = spans().map(|spans| spans.lines as f64 - 1.0 - spans.minutes);
        let is_quiet = loudest.fold(f64::NEG_INFINITY, f64::max) <= 0.0;
        let most = spans().map(|spans| spans.lines).max().unwrap_or(0);
        let is_quiet = self.target(
            "at most one warning a minute, after the first",
            format_args!("{most} in all"),
            is_quiet,
        );
        is_exact && is_bounded && is_quiet
    }
}

/// The cases whose collectors misbehave.
fn bad(all: &[Compared]) -> impl Iterator<Item = &Compared> {
    let bad = |compared: &&Compared| compared.spans.is_some() && !compared.is_usual;
    all.iter().filter(bad)
}
