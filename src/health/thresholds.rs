//! The limits of the built-in checks.

use std::time::Duration;

use crate::settings::{ConfigError, check};

/// The limits of the built-in checks. Above its limit, a check is degraded.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HealthThresholds {
    /// CPU in use on the machine, in percent. Default: 80.
    #[serde(rename = "cpu")]
    pub cpu_percent: f64,
    /// Memory in use on the machine, or in the process's cgroup if its limit is lower, in percent. Default: 85.
    #[serde(rename = "memory")]
    pub memory_percent: f64,
    /// Bytes or inodes in use on a file system, in percent. Default: 90.
    #[serde(rename = "disk")]
    pub disk_percent: f64,
    /// Share of HTTP requests with a status of 500 or above, over the last five minutes. Default: 0.05.
    pub error_rate: f64,
    /// Mean time of HTTP requests, over the last five minutes. Default: 5 s.
    pub response_time: Duration,
}

impl Default for HealthThresholds {
    fn default() -> Self {
        Self {
            cpu_percent: 80.0,
            memory_percent: 85.0,
            disk_percent: 90.0,
            error_rate: 0.05,
            response_time: Duration::from_secs(5),
        }
    }
}

impl HealthThresholds {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        for (key, percent) in [
            ("health.thresholds.cpu", self.cpu_percent),
            ("health.thresholds.memory", self.memory_percent),
            ("health.thresholds.disk", self.disk_percent),
        ] {
            let is_valid = percent > 0.0 && percent <= 100.0;
            let expected = "a percentage above 0 and at most 100";
            check(is_valid, key, &percent, expected)?;
        }
        check(
            self.error_rate > 0.0 && self.error_rate <= 1.0,
            "health.thresholds.error_rate",
            &self.error_rate,
            "a share above 0 and at most 1",
        )?;
        check(
            !self.response_time.is_zero(),
            "health.thresholds.response_time",
            &self.response_time,
            "a duration above 0s",
        )
    }
}
