//! Defines the options of tail sampling.

use std::{collections::BTreeMap, time::Duration};

use super::TracesConfig;
use crate::settings::{Variable, ratio, setters};

/// The options of tail sampling, which decides at the end of the local root span whether a sampled trace is exported:
/// failed, slow and expensive traces, traces with a chosen attribute, and a ratio of the rest.
///
/// A trace that enters this process again is decided again, unless it is kept already.
///
/// Spans that are not kept are counted in `observatory_spans_total{result="sampled_out"}`. Metrics do not depend on
/// tail sampling. Each service decides on its own; the ratio of the rest is decided by trace id, so services with the
/// same ratio keep the same traces of the rest.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TailConfig {
    /// The ratio of the traces that no other option keeps, 0 to 1. Default: 0.1.
    pub ratio: f64,
    /// True if traces with a failed span are kept. Default: true.
    pub keeps_errors: bool,
    /// The duration from which a span makes its trace slow, by the name of the span kind (`inference`, `http_request`,
    /// `db_query`, …). Default: `inference` 10 s, `http_request` 5 s, `db_query`, `cache` and `queue` 1 s.
    pub slow: BTreeMap<String, Duration>,
    /// The duration from which a span of any kind makes its trace slow. Default: no limit.
    pub slower_than: Option<Duration>,
    /// The cost in US dollars from which a trace is kept: the sum of `cost_usd`, `gen_ai.usage.cost` or `llm.cost.total`
    /// of its spans. Default: no limit.
    pub cost_usd: Option<f64>,
    /// Attributes that keep a trace, each with the pattern of its value: a whole value, or a prefix if it ends in `*`.
    /// The values are compared after redaction. Default: no attributes.
    pub attributes: Vec<(String, String)>,
    /// The maximum time that a trace waits for the end of its local root span. After it, the spans so far decide.
    /// Default: 2 min.
    pub wait: Duration,
    /// The memory limit of waiting spans in bytes. Above it, the oldest traces are decided by their spans so far; spans
    /// that no option keeps are dropped and counted (`tail_overflow`). Default: 32 MiB.
    pub bytes: usize,
    /// The number of decisions that are remembered for late spans, at about 64 bytes each. Default: 32,768.
    pub decisions: usize,
}

impl TailConfig {
    setters! {
        /// Sets the ratio of the traces that no other option keeps, 0 to 1.
        with_ratio(ratio: f64) { self.ratio = ratio }

        /// Sets the duration from which a span of a kind makes its trace slow.
        with_slow(kind: impl Into<String>, threshold: Duration) {
            self.slow.insert(kind.into(), threshold)
        }

        /// Sets the cost from which a trace is kept.
        with_cost_usd(cost: f64) { self.cost_usd = Some(cost) }

        /// Adds an attribute that keeps a trace, with the pattern of its value.
        with_attribute(name: impl Into<String>, pattern: impl Into<String>) {
            self.attributes.push((name.into(), pattern.into()))
        }
    }

    /// Sets the maximum time that a trace waits, and the memory limit of waiting spans.
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
