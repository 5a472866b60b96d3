//! The section of the report on rules.

use super::{Bar, Report};
use crate::{Failure, rules};

/// Maximum time of a round, relative to Prometheus.
const MAX_ROUND_RATIO: f64 = 1.0 / 3.0;
const MAX_TICK_MILLISECONDS: f64 = 5.0;
const MAX_MEBIBYTES: f64 = 32.0;

impl Report {
    pub(crate) fn rules(&mut self) -> Result<(), Failure> {
        self.section("Rules, ticks and samples", "rules");
        let figures = rules::measure()?;
        let rules::Figures { series, rules, .. } = figures;
        self.line(format_args!(
            "{series} series with an hour of samples, one each 10 s. A round evaluates {rules} rules: rates, ratios, quantiles; Prometheus's is its own `prometheus_rule_group_last_duration_seconds`, which includes writing the results. The panel is the rate of 1,000 series by a label, over the hour at 15 s; Prometheus's time includes its HTTP answer.\n"
        ));
        self.line("| measurement | ours, ms | Prometheus, ms |\n|---|---:|---:|");
        let (round, panel) = (figures.round, figures.panel);
        let (peer_round, peer_panel) = (figures.peer_round, figures.peer_panel);
        self.line(format_args!("| a round | {round:.1} | {peer_round:.0} |"));
        self.line(format_args!("| the panel | {panel:.1} | {peer_panel:.0} |"));
        self.line(format_args!("| a tick | {:.2} | |\n", figures.tick));
        self.plot.group(
            format!("A round of {rules} rules, ms"),
            vec![
                Bar::new("ours", round.value, true),
                Bar::new("prometheus", peer_round.value, false),
            ],
        );
        let ratio = round.value / peer_round.value;
        self.target(
            "a round in at most a third of Prometheus's time",
            format_args!("× {ratio:.2}"),
            ratio <= MAX_ROUND_RATIO,
        );
        let tick = figures.tick.value;
        self.target(
            format_args!("a tick in at most {MAX_TICK_MILLISECONDS} ms"),
            format_args!("{tick:.2} ms"),
            tick <= MAX_TICK_MILLISECONDS,
        );
        self.target(
            format_args!("all samples, labels and index in at most {MAX_MEBIBYTES} MiB"),
            format_args!(
                "{:.1} MiB, {:.1} bytes a sample",
                figures.mebibytes, figures.bytes_per_sample
            ),
            figures.mebibytes <= MAX_MEBIBYTES,
        );
        Ok(())
    }
}
