//! Evaluates the same rules and the same panel in a Prometheus.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use promql_engine::engine::Range;

use super::prometheus::{Prometheus, Series};
use super::{PANEL, ROUNDS, milliseconds};
use crate::{Failure, statistics::Median};

/// Samples of each series in one remote write.
const SAMPLES_PER_WRITE: usize = 10;
/// Prometheus's interval between two rounds, and the number of measured rounds.
const INTERVAL: Duration = Duration::from_secs(10);
const MEASURED_ROUNDS: usize = 6;

/// Returns the time of a round as Prometheus reports it, and the time of the panel as the client measures it.
pub(super) fn measure(
    all: &[Series],
    rules: &[String],
    range: Range,
) -> Result<(Median, Median), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let prometheus = Prometheus::start_with_rules(Some(&rule_file(rules)))
            .await
            .ok_or("prometheus is not installed: apt-get install prometheus")?;
        for from in (0..super::TICKS).step_by(SAMPLES_PER_WRITE) {
            let part: Vec<Series> = all
                .iter()
                .map(|series| Series {
                    labels: series.labels.clone(),
                    samples: series.samples[from..from + SAMPLES_PER_WRITE].to_vec(),
                })
                .collect();
            prometheus.write(&part).await;
        }
        // The round in progress has not had all samples.
        tokio::time::sleep(2 * INTERVAL).await;
        let mut rounds = Vec::with_capacity(MEASURED_ROUNDS);
        for _ in 0..MEASURED_ROUNDS {
            tokio::time::sleep(INTERVAL).await;
            // The same as its metric `prometheus_rule_group_last_duration_seconds`.
            let answer = prometheus.get("rules").await;
            let seconds = answer["data"]["groups"][0]["evaluationTime"].as_f64();
            rounds.push(seconds.ok_or("prometheus evaluates no rules")? * 1000.0);
        }
        let mut panels = Vec::with_capacity(ROUNDS);
        let seconds = |milliseconds: i64| (milliseconds / 1000).to_string();
        let (start, end) = (seconds(range.start), seconds(range.end));
        let step = seconds(range.step);
        for _ in 0..ROUNDS {
            let asked = Instant::now();
            let parameters = [
                ("query", PANEL),
                ("start", &start),
                ("end", &end),
                ("step", &step),
            ];
            let answer = prometheus.ask("query_range", &parameters).await;
            panels.push(milliseconds(asked.elapsed()));
            if answer["status"] != "success" {
                return Err(format!("prometheus answers {answer}").into());
            }
        }
        Ok((Median::of(rounds), Median::of(panels)))
    })
}

fn rule_file(rules: &[String]) -> String {
    let mut yaml = "groups:\n- name: all\n  rules:\n".to_owned();
    for (at, rule) in rules.iter().enumerate() {
        let rule = rule.replace('\'', "''");
        let _ = writeln!(
            yaml,
            "  - record: round:result\n    labels: {{rule: \"{at}\"}}\n    expr: '{rule}'"
        );
    }
    yaml
}
