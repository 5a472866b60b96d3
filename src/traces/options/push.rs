//! Defines the options of pushed metrics.

use std::time::Duration;

use super::OtlpConfig;
use super::Signal;
#[cfg(feature = "otlp")]
use super::shortest;
use crate::settings::{ConfigError, MIN_INTERVAL, at_least, check_compiled_in};

/// The options for metrics that are pushed to a Collector by OTLP. They can be scraped, too.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PushConfig {
    /// True if metrics are pushed. Default: false (`OTEL_METRICS_EXPORTER=otlp` turns it on).
    pub enabled: bool,
    /// The time between two pushes. The last push is part of the shutdown. Default: 60 s.
    pub interval: Duration,
    /// The time limit of a push, retries included; 0 is no limit. Default: 30 s. A shorter timeout in `otlp` takes
    /// precedence.
    pub timeout: Duration,
    /// The options of OTLP. Default: as for traces, with the path `/v1/metrics` over HTTP.
    pub otlp: OtlpConfig,
}

impl Default for PushConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            interval: Duration::from_mins(1),
            timeout: Duration::from_secs(30),
            otlp: OtlpConfig::default(),
        }
    }
}

impl PushConfig {
    /// The time limit of a push, which ends before the next push.
    #[cfg(feature = "otlp")]
    pub(crate) fn time_of_one(&self) -> Duration {
        shortest([self.timeout, self.otlp.timeout]).min(self.interval)
    }
}

impl PushConfig {
    /// Checks every value, if metrics are pushed.
    ///
    /// # Errors
    ///
    /// Returns the first invalid value, with its key.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        if !self.enabled {
            return Ok(());
        }
        check_compiled_in("push.enabled", true, cfg!(feature = "otlp"), "otlp")?;
        at_least("push.interval", &self.interval, MIN_INTERVAL)?;
        self.otlp.check(Signal::Metrics)
    }
}
