//! Options of the health checks, the health report and the system sampler.

use super::WatchdogConfig;
use crate::settings::{Variable, boolean, duration, text, variable};

/// Options of the health report and of the system sampler.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthConfig {
    /// True if the process and the machine are sampled. Default: true if the feature `health` is compiled in.
    pub enabled: bool,
    /// Path of the health report. Default: `/health`.
    pub endpoint: String,
    /// Options of the watchdog, which also needs `enabled`.
    pub watchdog: WatchdogConfig,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            enabled: cfg!(feature = "health"),
            endpoint: "/health".to_owned(),
            watchdog: WatchdogConfig::default(),
        }
    }
}

impl HealthConfig {
    pub(crate) const VARIABLES: &[Variable<Self>] = &[
        variable!("HEALTH_CHECK_ENABLED" => enabled, boolean),
        variable!("HEALTH_ENDPOINT" => endpoint, text),
        variable!("OBSERVATORY_WATCHDOG_ENABLED" => watchdog.enabled, boolean),
        variable!("OBSERVATORY_WATCHDOG_INTERVAL" => watchdog.interval, duration),
        variable!("OBSERVATORY_WATCHDOG_BLOCKED_AFTER" => watchdog.blocked_after, duration),
        variable!("OBSERVATORY_WATCHDOG_STALLED_AFTER" => watchdog.stalled_after, duration),
    ];
}
