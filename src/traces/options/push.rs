//! Metrics that are pushed.

use std::time::Duration;

use super::OtlpConfig;
use super::Signal;
#[cfg(feature = "otlp")]
use super::shortest;
use crate::settings::{ConfigError, MIN_INTERVAL, check, check_compiled_in};

/// Metrics pushed to a Collector by OTLP, beside being scraped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PushConfig {
    /// Whether they are pushed. Default: false (`OTEL_METRICS_EXPORTER=otlp` turns it on).
    pub enabled: bool,
    /// Time between two pushes. The last one comes with the shutdown. Default: 60 s.
    pub interval: Duration,
    /// Time that a push may take, with every retry; 0 is without an end. Default: 30 s; the timeout in `otlp` counts
    /// where it is shorter.
    pub timeout: Duration,
    /// Where to, and how. Default: as for traces, with the path `/v1/metrics` over HTTP.
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
    /// Time that one push may take: the next is not held up by it.
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
        check_compiled_in(
            true,
            cfg!(feature = "otlp"),
            "push.enabled",
            "false, or the feature `otlp` added",
        )?;
        check(
            self.interval >= MIN_INTERVAL,
            "push.interval",
            &self.interval,
            "a duration of at least 100ms",
        )?;
        self.otlp.check(Signal::Metrics)
    }
}
