//! The retention of the series store, and the limits of a query.

use std::time::Duration;

/// The retention of the series store, and the limits of a query.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct QueryConfig {
    /// True if the observatory stores a sample of each series at each tick, for queries. Default: true if the feature
    /// `alerting` is compiled in.
    pub enabled: bool,
    /// The retention of the series store.
    pub retention: RetentionConfig,
    /// Max duration of a query. Default: 10 s.
    pub timeout: Duration,
    /// Max samples that a query holds at once. Default: 50,000,000, as Prometheus's `query.max-samples`.
    pub max_samples: u64,
    /// Max memory of all queries of clients together, in bytes: the samples that the engine holds, at 16 bytes each, and
    /// the parts of answers that are not yet written. The queries of rules and of the application have as much again.
    /// Default: 67,108,864 (64 MiB).
    pub max_memory: usize,
    /// Max length of a query, in bytes. Default: 16,384 (16 KiB), which holds the multi-value variables of Grafana.
    pub max_query_bytes: usize,
    /// Max age of the sample that an instant selector uses. Default: 5 min, as Prometheus's `query.lookback-delta`.
    pub lookback: Duration,
}

/// The retention of the series store, by time and by memory.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetentionConfig {
    /// Max age of samples. Default: 1 h.
    pub time: Duration,
    /// Max memory; the store then removes the oldest samples. Default: 64 MiB.
    pub bytes: usize,
    /// Max age of the samples per minute, which rules with long windows need; 0 keeps none. Default: 6 h.
    pub coarse_time: Duration,
}

impl Default for QueryConfig {
    fn default() -> Self {
        Self {
            enabled: cfg!(feature = "alerting"),
            retention: RetentionConfig::default(),
            timeout: Duration::from_secs(10),
            max_samples: 50_000_000,
            max_memory: 64 << 20,
            max_query_bytes: 16 << 10,
            lookback: Duration::from_mins(5),
        }
    }
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            time: Duration::from_hours(1),
            bytes: 64 << 20,
            coarse_time: Duration::from_hours(6),
        }
    }
}

#[cfg(feature = "alerting")]
mod parts {
    use super::{QueryConfig, RetentionConfig};
    use crate::query::{engine::EngineOptions, store::Retention};

    impl From<&RetentionConfig> for Retention {
        fn from(config: &RetentionConfig) -> Self {
            Self::default()
                .with_time(config.time)
                .with_bytes(config.bytes)
                .with_coarse_time(config.coarse_time)
        }
    }

    impl From<&QueryConfig> for EngineOptions {
        fn from(config: &QueryConfig) -> Self {
            Self::default()
                .with_timeout(config.timeout)
                .with_max_samples(config.max_samples)
                .with_max_query_bytes(config.max_query_bytes)
                .with_lookback(config.lookback)
        }
    }
}
