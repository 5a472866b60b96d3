//! Options of a registered check.

use std::time::Duration;

use tokio::runtime::Handle;

use super::{HealthConfig, options::check_schedule, plan::Plan};
use crate::{
    net::Backoff,
    settings::{ConfigError, at_least, setters},
};

/// Options of a registered check. An option that is not set has the value of [`HealthConfig`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CheckOptions {
    /// Time limit of one attempt. Default: `health.timeout`.
    pub timeout: Option<Duration>,
    /// Attempts of a run after its first failure. Default: `health.retries`.
    pub retries: Option<u32>,
    /// Time between the starts of two runs. Default: `health.interval`.
    pub interval: Option<Duration>,
    /// Time between the registration and the first run. Default: zero.
    pub start_delay: Duration,
    /// Number of failed runs in a row after which the check is unhealthy; `None` means 1. Default: 1.
    pub failure_threshold: Option<u32>,
    /// True if the service is unhealthy and not ready without it. Default: true for `register`, false for
    /// `register_dependency`.
    pub critical: Option<bool>,
    /// The runtime of an async check. Default: the runtime that is current at the registration, else at the
    /// installation.
    pub runtime: Option<Handle>,
}

impl CheckOptions {
    setters! {
        /// Sets the time limit of one attempt.
        with_timeout(timeout: Duration) { self.timeout = Some(timeout) }

        /// Sets the number of attempts of a run after its first failure.
        with_retries(retries: u32) { self.retries = Some(retries) }

        /// Sets the time between the starts of two runs.
        with_interval(interval: Duration) { self.interval = Some(interval) }

        /// Sets the time between the registration and the first run.
        with_start_delay(delay: Duration) { self.start_delay = delay }

        /// Sets the number of failed runs in a row after which the check is unhealthy.
        with_failure_threshold(runs: u32) { self.failure_threshold = Some(runs) }

        /// Sets whether the service is unhealthy and not ready without this check.
        with_critical(critical: bool) { self.critical = Some(critical) }

        /// Sets the runtime of an async check.
        with_runtime(runtime: Handle) { self.runtime = Some(runtime) }
    }

    /// Returns when and for how long the check with this name runs.
    pub(super) fn plan(&self, name: &str, config: &HealthConfig) -> Result<Plan, ConfigError> {
        let area = format!("health.checks.{name}");
        let plan = Plan {
            interval: self.interval.unwrap_or(config.interval),
            timeout: self.timeout.unwrap_or(config.timeout),
            retries: self.retries.unwrap_or(config.retries),
            start_delay: self.start_delay,
            failure_threshold: self.failure_threshold.unwrap_or(1),
            backoff: Backoff {
                initial: Duration::from_millis(200),
                factor: 2.0,
                jitter: 0.5,
                max: Duration::from_secs(5),
            },
        };
        check_schedule(&area, plan.interval, plan.timeout, plan.retries)?;
        let key = format!("{area}.failure_threshold");
        at_least(&key, &plan.failure_threshold, 1)?;
        Ok(plan)
    }
}
