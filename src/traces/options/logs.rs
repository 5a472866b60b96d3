//! Log records that are exported.

use std::time::Duration;

use tracing::Level;

use super::{BatchConfig, OtlpConfig};

/// Events exported as log records by OTLP, beside the lines on standard error. They go by the ids and the redaction of
/// traces, so they need traces to be on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogsConfig {
    /// Whether they are exported. Default: false (`OTEL_LOGS_EXPORTER=otlp` turns it on).
    pub enabled: bool,
    /// Events of this level and of more severe ones, whatever the log on standard error shows of them (`log_filter`,
    /// `RUST_LOG`); with a subscriber of your own, as far as its filters let them through. Default: INFO.
    pub level: Level,
    /// How they are gathered. Default: as spans, but 1 s instead of 5 s.
    pub batch: BatchConfig,
    /// Where to, and how. Default: as for traces, with the path `/v1/logs` over HTTP.
    pub otlp: OtlpConfig,
}

/// The defaults of OpenTelemetry's specification.
impl Default for LogsConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            level: Level::INFO,
            batch: BatchConfig {
                delay: Duration::from_secs(1),
                ..BatchConfig::default()
            },
            otlp: OtlpConfig::default(),
        }
    }
}
