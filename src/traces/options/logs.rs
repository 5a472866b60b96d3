//! Defines the options of exported log records.

use std::time::Duration;

use tracing::Level;

use super::{BatchConfig, OtlpConfig};

/// The options for the export of events as log records by OTLP, beside the lines on standard error. Log records use
/// the ids and the redaction of traces, so traces must be enabled.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LogsConfig {
    /// True if events are exported. Default: false (`OTEL_LOGS_EXPORTER=otlp` turns it on).
    pub enabled: bool,
    /// The most verbose level that is exported, independent of the log on standard error (`log_filter`, `RUST_LOG`). In
    /// a subscriber of your own, its filters apply before. Default: INFO.
    #[serde(with = "level")]
    #[cfg_attr(feature = "json-schema", schemars(with = "String"))]
    pub level: Level,
    /// The batching. Default: as for spans, with a delay of 1 s in place of 5 s.
    pub batch: BatchConfig,
    /// The options of OTLP. Default: as for traces, with the path `/v1/logs` over HTTP.
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

/// The name of a level, in lower case.
mod level {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};
    use tracing::Level;

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature that serde calls"
    )]
    pub(super) fn serialize<S: Serializer>(
        level: &Level,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&level.as_str().to_ascii_lowercase())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Level, D::Error> {
        const NAMES: &[&str] = &["error", "warn", "info", "debug", "trace"];
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|_| D::Error::unknown_variant(&text, NAMES))
    }
}
