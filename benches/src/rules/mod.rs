//! Measures a round of alert rules, a tick and a dashboard query, beside a real Prometheus with the same rules and
//! samples.
//!
//! The client of Prometheus is the test client of promql-engine.

mod peer;
#[path = "../../../crates/promql/tests/query/prometheus.rs"]
#[allow(
    dead_code,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::missing_panics_doc,
    reason = "test code, which may panic, and of which only a part is used"
)]
mod prometheus;
#[path = "../../../crates/promql/tests/query/random.rs"]
#[allow(
    clippy::cast_possible_truncation,
    reason = "test code with small numbers"
)]
mod random;
mod workload;

use std::time::{Duration, Instant, SystemTime};

use promql_engine::Labels;
use promql_engine::engine::{Engine, Prepared, Range};
use promql_engine::store::{SeriesId, SeriesStore};

use crate::{Failure, statistics::Median};
use prometheus::Series;
use workload::{SPAN, TICKS};

const ROUNDS: usize = 11;
/// A dashboard panel: the rate of a thousand series by a label, over an hour, four times a minute.
const PANEL: &str = "sum by (model) (rate(llm_requests_total{status=~\"ok|error\"}[5m]))";
const PANEL_STEP: i64 = 15_000;

/// Times in milliseconds.
pub(crate) struct Figures {
    pub(crate) series: usize,
    pub(crate) rules: usize,
    pub(crate) tick: Median,
    pub(crate) mebibytes: f64,
    pub(crate) bytes_per_sample: f64,
    pub(crate) round: Median,
    pub(crate) panel: Median,
    pub(crate) peer_round: Median,
    pub(crate) peer_panel: Median,
}

pub(crate) fn measure() -> Result<Figures, Failure> {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let now = i64::try_from(since_epoch.as_millis())?;
    let all = workload::series(now);
    let store = SeriesStore::default();
    let tick = fill(&store, &all)?;
    let stats = store.stats();
    let engine = Engine::default();
    let rules = workload::rules();
    let prepared = rules.iter().map(|rule| engine.prepare(rule));
    let prepared = prepared.collect::<Result<Vec<Prepared>, _>>()?;
    let range = Range {
        start: now - SPAN,
        end: now,
        step: PANEL_STEP,
    };
    let round = timed(|| {
        for rule in &prepared {
            engine.evaluate_prepared(&store, rule, now)?;
        }
        Ok(())
    })?;
    let panel = timed(|| {
        engine.query_range(&store, PANEL, range)?;
        Ok(())
    })?;
    let (peer_round, peer_panel) = peer::measure(&all, &rules, range)?;
    Ok(Figures {
        series: all.len(),
        rules: rules.len(),
        tick,
        mebibytes: stats.bytes as f64 / f64::from(1 << 20),
        bytes_per_sample: stats.bytes as f64 / stats.samples as f64,
        round,
        panel,
        peer_round,
        peer_panel,
    })
}

/// Feeds the store tick by tick, as the collector does.
fn fill(store: &SeriesStore, all: &[Series]) -> Result<Median, Failure> {
    let labels = |series: &Series| {
        Labels::from_pairs(
            series
                .labels
                .iter()
                .map(|(name, value)| (*name, value.as_str())),
        )
    };
    let ids: Vec<SeriesId> = all
        .iter()
        .map(|series| store.register(&labels(series)))
        .collect();
    let mut times = Vec::with_capacity(TICKS);
    for tick in 0..TICKS {
        let time = all.first().ok_or("there are no series")?.samples[tick].0;
        let values = all.iter().map(|series| series.samples[tick].1);
        let samples: Vec<(SeriesId, f64)> = ids.iter().copied().zip(values).collect();
        let start = Instant::now();
        if store.append_tick(time, &samples) != ids.len() {
            return Err("the store refused samples".into());
        }
        times.push(milliseconds(start.elapsed()));
    }
    Ok(Median::of(times))
}

/// Runs the first round, which is not counted: it looks up the series, as after every change of them.
fn timed(mut work: impl FnMut() -> Result<(), Failure>) -> Result<Median, Failure> {
    work()?;
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        work()?;
        times.push(milliseconds(start.elapsed()));
    }
    Ok(Median::of(times))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
