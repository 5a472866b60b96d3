//! Options of the profiler.

use std::time::Duration;

use crate::settings::{
    ConfigError, Variable, at_least, boolean, duration, setters, share, variable, within,
};

/// The maximum duration of a profile.
pub(crate) const MAX_DURATION: Duration = Duration::from_mins(10);
/// The minimum duration of a profile.
pub(crate) const MIN_DURATION: Duration = Duration::from_millis(10);
/// The maximum frequency of samples, in hertz.
const MAX_FREQUENCY_HZ: u32 = 1000;

/// Options of the profiler.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ProfilerConfig {
    /// True if profiles can be recorded. An idle profiler costs nothing. Default: true; false in the presets
    /// `production` and `vps`.
    pub enabled: bool,
    /// The duration of a CPU profile whose request names none, from 10 ms to 10 min. Default: 30 s.
    pub profile_duration: Duration,
    /// The frequency of samples per CPU-second, from 1 to 1000 Hz. Default: 99 Hz.
    pub frequency_hz: u32,
    /// The thresholds of bottlenecks.
    pub performance_thresholds: PerformanceThresholds,
}

/// The thresholds of bottlenecks.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PerformanceThresholds {
    /// The mean time that a span may wait itself. Default: 5 s.
    pub idle: Duration,
    /// The time that a span may keep a thread itself, at the 95th percentile. Default: 500 ms.
    pub busy: Duration,
    /// The share of spans that may fail. Default: 0.05.
    pub error_rate: f64,
    /// The mean number of times that a span may call the same child. Default: 10.
    pub repeated_calls: u64,
    /// The number of spans below which an operation has no bottleneck. Default: 20.
    pub min_spans: u64,
}

impl Default for PerformanceThresholds {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(5),
            busy: Duration::from_millis(500),
            error_rate: 0.05,
            repeated_calls: 10,
            min_spans: 20,
        }
    }
}

impl PerformanceThresholds {
    fn validate(&self) -> Result<(), ConfigError> {
        let key = |name: &str| format!("profiler.performance_thresholds.{name}");
        for (name, threshold) in [("idle", self.idle), ("busy", self.busy)] {
            at_least(&key(name), &threshold, Duration::from_millis(1))?;
        }
        share(&key("error_rate"), self.error_rate)?;
        at_least(&key("repeated_calls"), &self.repeated_calls, 2)?;
        at_least(&key("min_spans"), &self.min_spans, 1)
    }
}

impl Default for ProfilerConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            profile_duration: Duration::from_secs(30),
            frequency_hz: 99,
            performance_thresholds: PerformanceThresholds::default(),
        }
    }
}

impl ProfilerConfig {
    pub(crate) const VARIABLES: &[Variable<Self>] = &[
        variable!("PROFILER_ENABLED" => enabled, boolean),
        variable!("OBSERVATORY_PROFILE_DURATION" => profile_duration, duration),
        Variable::new("OBSERVATORY_PROFILE_FREQUENCY", |options, value| {
            let frequency = value.parse().ok();
            options.frequency_hz = frequency.ok_or("a whole number of hertz")?;
            Ok(())
        }),
    ];

    setters! {
        /// Sets whether profiles can be recorded.
        with_enabled(enabled: bool) { self.enabled = enabled }

        /// Sets the duration of a CPU profile whose request names none.
        with_profile_duration(duration: Duration) { self.profile_duration = duration }

        /// Sets the frequency of samples per CPU-second.
        with_frequency_hz(frequency_hz: u32) { self.frequency_hz = frequency_hz }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        within(
            "profiler.profile_duration",
            &self.profile_duration,
            MIN_DURATION,
            MAX_DURATION,
        )?;
        within(
            "profiler.frequency_hz",
            &self.frequency_hz,
            1,
            MAX_FREQUENCY_HZ,
        )?;
        self.performance_thresholds.validate()
    }
}
