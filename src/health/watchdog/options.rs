//! Options of the watchdog.

use std::time::Duration;

use crate::settings::{ConfigError, check, within};

/// Options of the watchdog, which reports workers and threads of a runtime that do not make progress.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct WatchdogConfig {
    /// True if the watchdog runs and the Layer records the entered spans. Default: true.
    pub enabled: bool,
    /// Interval of the watchdog's ticks, from 10 ms to 1 s. Default: 50 ms.
    pub interval: Duration,
    /// Time after which a thread that stands still inside a span is blocked; at least four intervals. Default: 500 ms.
    pub blocked_after: Duration,
    /// Time after which a worker that stands still without an entered span is stalled; at least `blocked_after`.
    /// Default: 5 s.
    pub stalled_after: Duration,
}

impl Default for WatchdogConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Duration::from_millis(50),
            blocked_after: Duration::from_millis(500),
            stalled_after: Duration::from_secs(5),
        }
    }
}

impl WatchdogConfig {
    /// Checks every value.
    ///
    /// # Errors
    ///
    /// Returns the first invalid value, with its key.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        if !self.enabled {
            return Ok(());
        }
        let (min, max) = (Duration::from_millis(10), Duration::from_secs(1));
        within("health.watchdog.interval", &self.interval, min, max)?;
        check(
            self.blocked_after >= self.interval * 4,
            "health.watchdog.blocked_after",
            &self.blocked_after,
            format!("at least four intervals ({:?})", self.interval * 4),
        )?;
        check(
            self.stalled_after >= self.blocked_after,
            "health.watchdog.stalled_after",
            &self.stalled_after,
            format!(
                "at least health.watchdog.blocked_after ({:?})",
                self.blocked_after
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_key_and_the_limit() {
        let ms = Duration::from_millis;
        assert!(WatchdogConfig::default().validate().is_ok());
        let error = |change: fn(&mut WatchdogConfig)| {
            let mut config = WatchdogConfig::default();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        for (message, expected) in [
            (
                error(|config| config.interval = Duration::ZERO),
                ["health.watchdog.interval", "from 10ms to 1s"],
            ),
            (
                error(|config| config.blocked_after = Duration::from_millis(199)),
                [
                    "health.watchdog.blocked_after",
                    "at least four intervals (200ms)",
                ],
            ),
            (
                error(|config| config.stalled_after = Duration::from_millis(499)),
                ["health.watchdog.stalled_after", "(500ms)"],
            ),
        ] {
            assert!(
                expected.iter().all(|part| message.contains(part)),
                "{message}"
            );
        }
        let mut off = WatchdogConfig::default();
        (off.enabled, off.interval) = (false, ms(0));
        assert!(off.validate().is_ok());
    }
}
