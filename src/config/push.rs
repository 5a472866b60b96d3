//! Metrics that are pushed.

use std::time::Duration;

use super::OtlpConfig;

/// Metrics pushed to a Collector by OTLP, beside being scraped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PushConfig {
    /// Whether they are pushed. Default: false (`OTEL_METRICS_EXPORTER=otlp` turns it on).
    pub enabled: bool,
    /// Time between two pushes. The last one comes with the shutdown. Default: 60 s.
    pub interval: Duration,
    /// Where to, and how. Default: as for traces, with the path `/v1/metrics` over HTTP.
    pub otlp: OtlpConfig,
}

impl Default for PushConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            interval: Duration::from_mins(1),
            otlp: OtlpConfig::default(),
        }
    }
}
