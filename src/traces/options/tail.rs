//! Which traces are kept once it is known how they went.

use std::{collections::BTreeMap, time::Duration};

use super::TracesConfig;
use crate::settings::{Variable, ratio};

/// Which of the traces that head sampling keeps are exported, decided when their first span here has ended: what
/// failed, was slow, cost much or has a chosen attribute, and a share of the rest.
///
/// A trace that calls the service again is decided again, unless it is kept.
///
/// What is sampled out is counted in `observatory_spans_total{result="sampled_out"}`. Metrics do not depend on it.
/// A service that is called in the same trace decides for itself; the share of the rest is drawn by the trace's id, so
/// services with the same share keep the same ones of those.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TailConfig {
    /// Share of the traces that nothing else keeps, 0 to 1. Default: 0.1.
    pub ratio: f64,
    /// Whether traces with a span that failed are kept. Default: true.
    pub keeps_errors: bool,
    /// Time from which a span of a kind makes its trace slow, by the kind's name (`inference`, `http_request`,
    /// `db_query`, …). Default: `inference` 10 s, `http_request` 5 s, `db_query`, `cache` and `queue` 1 s.
    pub slow: BTreeMap<String, Duration>,
    /// Time from which a trace is slow, whatever its spans are. Default: none.
    pub slower_than: Option<Duration>,
    /// Cost from which a trace is kept: what its spans say in `cost_usd`, `gen_ai.usage.cost` or `llm.cost.total`,
    /// together. Default: none.
    pub cost_usd: Option<f64>,
    /// Attributes that keep a trace, and the pattern of their values: a whole value, or the beginning of one where it
    /// ends in `*`. Values are seen as they would be exported. Default: none.
    pub attributes: Vec<(String, String)>,
    /// Time that a trace waits for its first span to end at most; then it is decided by what there is. Default: 2 min.
    pub wait: Duration,
    /// Memory for spans that wait; above it the oldest traces are decided by what there is, and spans of those that
    /// nothing keeps are dropped and counted (`tail_overflow`). Default: 32 MiB.
    pub bytes: usize,
    /// Decisions that are remembered for spans that come late; one takes about 64 bytes. Default: 32,768.
    pub decisions: usize,
}

impl TailConfig {
    /// Sets the share of the traces that nothing else keeps, 0 to 1.
    #[must_use]
    pub fn with_ratio(mut self, ratio: f64) -> Self {
        self.ratio = ratio;
        self
    }

    /// Sets the time from which a span of a kind makes its trace slow.
    #[must_use]
    pub fn with_slow(mut self, kind: impl Into<String>, threshold: Duration) -> Self {
        self.slow.insert(kind.into(), threshold);
        self
    }

    /// Sets the cost from which a trace is kept.
    #[must_use]
    pub fn with_cost_usd(mut self, cost: f64) -> Self {
        self.cost_usd = Some(cost);
        self
    }

    /// Adds an attribute that keeps a trace, and the pattern of its value.
    #[must_use]
    pub fn with_attribute(mut self, name: impl Into<String>, pattern: impl Into<String>) -> Self {
        self.attributes.push((name.into(), pattern.into()));
        self
    }

    /// Sets the time that a trace waits at most, and the memory for spans that wait.
    #[must_use]
    pub fn with_bounds(mut self, wait: Duration, bytes: usize) -> Self {
        self.wait = wait;
        self.bytes = bytes;
        self
    }
}

impl Default for TailConfig {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        let slow = [
            ("inference", 10 * second),
            ("http_request", 5 * second),
            ("db_query", second),
            ("cache", second),
            ("queue", second),
        ];
        Self {
            ratio: 0.1,
            keeps_errors: true,
            slow: slow
                .map(|(kind, threshold)| (kind.to_owned(), threshold))
                .into(),
            slower_than: None,
            cost_usd: None,
            attributes: Vec::new(),
            wait: Duration::from_mins(2),
            bytes: 32 << 20,
            decisions: 32_768,
        }
    }
}

/// The environment variables of tail sampling.
pub(super) const VARIABLES: &[Variable<TracesConfig>] =
    &[Variable::new("OBSERVATORY_TAIL_RATIO", |traces, value| {
        let ratio = ratio(value).ok_or("a share from 0 to 1")?;
        traces.tail.get_or_insert_default().ratio = ratio;
        Ok(())
    })];
