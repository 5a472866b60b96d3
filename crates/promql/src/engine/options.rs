//! The options of the engine.

use std::time::Duration;

use super::syntax::ParseLimits;

/// The semantics and limits of an [`Engine`](super::Engine).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineOptions {
    /// The maximum length and nesting of a query.
    pub parse: ParseLimits,
    /// The maximum age of the sample that an instant selector returns. Default: 5 min.
    pub lookback: Duration,
    /// The step of subqueries without a step. Default: 1 min, as Prometheus's evaluation interval.
    pub subquery_step: Duration,
    /// The maximum number of samples that a query holds at once: the samples of its selectors and subqueries, the values of
    /// the current step, and the result so far. Default: 50,000,000, as Prometheus's `query.max-samples`.
    pub max_samples: u64,
    /// The maximum duration of a query. Default: 30 s. Needs a clock in [`Control`](super::Control).
    pub timeout: Duration,
    /// The maximum number of steps of a range query. Default: 11,000, as in Prometheus.
    pub max_steps: i64,
    /// The maximum number of series in a result. Default: 100,000.
    pub max_result_series: usize,
    /// True if ranges and lookback include their left end, as in Prometheus 2. Default: `false`.
    pub left_closed_ranges: bool,
    /// True if metric names are dropped at the end of a query instead of by each function, as with Prometheus 3's
    /// feature flag `promql-delayed-name-removal`. Default: `false`, as in Prometheus.
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

    /// Drops metric names at the end of a query.
    #[must_use]
    pub fn with_delayed_name_removal(mut self) -> Self {
        self.delayed_name_removal = true;
        self
    }

    /// Sets the maximum number of samples that a query holds at once.
    #[must_use]
    pub fn with_max_samples(mut self, samples: u64) -> Self {
        self.max_samples = samples;
        self
    }

    /// Sets the maximum length of a query, in bytes.
    #[must_use]
    pub fn with_max_query_bytes(mut self, bytes: usize) -> Self {
        self.parse.length_bytes = bytes;
        self
    }

    /// Sets the maximum age of the sample that an instant selector returns.
    #[must_use]
    pub fn with_lookback(mut self, lookback: Duration) -> Self {
        self.lookback = lookback;
        self
    }

    /// Sets the maximum duration of a query.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}
