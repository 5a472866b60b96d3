//! What can be set about the engine.

use std::time::Duration;

use super::syntax::ParseLimits;

/// Semantics and limits of an [`Engine`](super::Engine).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineOptions {
    /// How large a query's text may be.
    pub parse: ParseLimits,
    /// How old a sample may be and still stand for "now". Default: 5 min.
    pub lookback: Duration,
    /// Step of subqueries that name none. Default: 1 min, as Prometheus's evaluation interval.
    pub subquery_step: Duration,
    /// Samples that one query may read and produce. Default: 50,000,000, as Prometheus's `query.max-samples`.
    pub max_samples: u64,
    /// Time that one query may take. Default: 30 s. Needs a clock in [`Control`](super::Control).
    pub timeout: Duration,
    /// Steps of one range query. Default: 11,000, as Prometheus.
    pub max_steps: i64,
    /// Series in one result. Default: 100,000.
    pub max_result_series: usize,
    /// Ranges and lookback include their left end, as in Prometheus 2: for comparing with one. Default: off.
    pub left_closed_ranges: bool,
    /// Names are dropped at the end of a query rather than by each function (Prometheus 3's
    /// `promql-delayed-name-removal`). Default: off, as there.
    pub delayed_name_removal: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            parse: ParseLimits::default(),
            lookback: Duration::from_mins(5),
            subquery_step: Duration::from_mins(1),
            max_samples: 50_000_000,
            timeout: Duration::from_secs(30),
            max_steps: 11_000,
            max_result_series: 100_000,
            left_closed_ranges: false,
            delayed_name_removal: false,
        }
    }
}

impl EngineOptions {
    /// Makes ranges and lookback include their left end.
    #[must_use]
    pub fn with_left_closed_ranges(mut self) -> Self {
        self.left_closed_ranges = true;
        self
    }

    /// Drops names at the end of a query.
    #[must_use]
    pub fn with_delayed_name_removal(mut self) -> Self {
        self.delayed_name_removal = true;
        self
    }

    /// Sets how many samples one query may read and produce.
    #[must_use]
    pub fn with_max_samples(mut self, samples: u64) -> Self {
        self.max_samples = samples;
        self
    }

    /// Sets how old a sample may be and still stand for "now".
    #[must_use]
    pub fn with_lookback(mut self, lookback: Duration) -> Self {
        self.lookback = lookback;
        self
    }

    /// Sets how long one query may take.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}
