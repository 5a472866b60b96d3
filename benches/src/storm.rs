//! Measures ten thousand concurrent alerts: the rounds of the rule that raises them, and the size of their store.

use std::time::{Duration, Instant};

use llm_observatory::{
    alerting::{AlertRule, RuleGroup, RuleGroups, Severity, Source},
    query::{
        Labels,
        engine::Engine,
        store::{SeriesId, SeriesStore},
    },
};

use crate::{Failure, statistics::Median};

pub(crate) const ALERTS: usize = 10_000;
const ROUNDS: i64 = 11;
/// The interval of rounds, slightly above a minute, so that every alert is notified again in each round.
const INTERVAL: i64 = 60_001;

/// Times in milliseconds.
pub(crate) struct Figures {
    /// The round in which all alerts start.
    pub(crate) first: f64,
    pub(crate) round: Median,
    pub(crate) mebibytes: f64,
}

pub(crate) fn measure() -> Result<Figures, Failure> {
    let (engine, store) = (Engine::default(), SeriesStore::default());
    let rule = AlertRule::new("storm")
        .severity(Severity::Critical)
        .expr("load > 0.5")
        .annotation(
            "summary",
            "{{ $labels.model_id }} is at {{ $value | humanizePercentage }}",
        )
        .annotation(
            "description",
            "Model {{ $labels.model_id }} of {{ $labels.job }}",
        );
    let mut rules = RuleGroups::default();
    let source = Source::new(&engine, &store);
    rules.load(
        "storm",
        vec![RuleGroup::new("storm").rule(rule)],
        &source,
        0,
    )?;
    let series: Vec<SeriesId> = (0..ALERTS)
        .map(|number| {
            let model = format!("model-{number}");
            let labels = [
                ("__name__", "load"),
                ("job", "router"),
                ("model_id", &model),
            ];
            store.register(&Labels::from_pairs(labels))
        })
        .collect();
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let now = round * INTERVAL;
        let samples: Vec<(SeriesId, f64)> = series.iter().map(|id| (*id, 0.9)).collect();
        store.append_tick(now, &samples);
        let start = Instant::now();
        let evaluation = rules.evaluate_all(&source, now);
        times.push(milliseconds(start.elapsed()));
        if evaluation.alerts.len() != ALERTS {
            return Err(format!("{} alerts fire", evaluation.alerts.len()).into());
        }
    }
    let mebibytes = store.stats().bytes as f64 / f64::from(1 << 20);
    let first = times.remove(0);
    Ok(Figures {
        first,
        round: Median::of(times),
        mebibytes,
    })
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
