//! Represents points in time as milliseconds since the Unix epoch.
//!
//! Alerts, notifications and saved state use this resolution, as Prometheus and Alertmanager do. All arithmetic
//! saturates, so that [`UnixMs::MAX`] works as "never" and [`UnixMs::MIN`] as "at once".

use std::{
    fmt,
    ops::{Add, Sub},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch; negative values lie before the epoch. Serializes as the bare number.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub(crate) struct UnixMs(i64);

impl UnixMs {
    /// The earliest time: a deadline that has always passed.
    pub(crate) const MIN: Self = Self(i64::MIN);
    /// The latest time: a deadline that never passes.
    pub(crate) const MAX: Self = Self(i64::MAX);

    /// Wraps milliseconds since the Unix epoch.
    pub(crate) const fn from_i64(milliseconds: i64) -> Self {
        Self(milliseconds)
    }

    /// Returns the milliseconds since the Unix epoch.
    pub(crate) const fn as_i64(self) -> i64 {
        self.0
    }

    /// Moves the time by a step of the wall clock; [`UnixMs::MIN`] and [`UnixMs::MAX`] stay.
    pub(crate) fn shift(&mut self, by_ms: i64) {
        shift_ms(&mut self.0, by_ms);
    }

    /// Returns the time from `earlier` to `self`; zero if `earlier` is later than `self`.
    pub(crate) fn saturating_since(self, earlier: Self) -> Duration {
        duration_from_ms(self.0.saturating_sub(earlier.0))
    }
}

impl From<SystemTime> for UnixMs {
    fn from(time: SystemTime) -> Self {
        Self(match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => duration_as_ms(since),
            Err(before) => -duration_as_ms(before.duration()),
        })
    }
}

impl Add<Duration> for UnixMs {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration_as_ms(duration)))
    }
}

impl Sub<Duration> for UnixMs {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration_as_ms(duration)))
    }
}

impl fmt::Display for UnixMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Moves a time in milliseconds since the epoch by a step of the wall clock; the ends of the range stay.
pub(crate) fn shift_ms(time: &mut i64, by_ms: i64) {
    if ![i64::MIN, i64::MAX].contains(time) {
        *time = time.saturating_add(by_ms);
    }
}

/// Converts a duration to whole milliseconds, at most `i64::MAX`.
pub(crate) fn duration_as_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Converts milliseconds to a duration; negative values become zero.
pub(crate) fn duration_from_ms(milliseconds: i64) -> Duration {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let second = Duration::from_secs(1);
        assert_eq!(UnixMs::MAX + second, UnixMs::MAX);
        assert_eq!(UnixMs::MIN - second, UnixMs::MIN);
        assert_eq!(UnixMs::from_i64(0) + Duration::MAX, UnixMs::MAX);
        assert_eq!(UnixMs::from_i64(500) - second, UnixMs::from_i64(-500));
        assert_eq!(UnixMs::from_i64(500) + second, UnixMs::from_i64(1_500));
    }

    #[test]
    fn the_difference_to_a_later_time_is_zero() {
        let (earlier, later) = (UnixMs::from_i64(-500), UnixMs::from_i64(1_000));
        assert_eq!(
            later.saturating_since(earlier),
            Duration::from_millis(1_500)
        );
        assert_eq!(earlier.saturating_since(later), Duration::ZERO);
        let longest = UnixMs::MAX.saturating_since(UnixMs::MIN);
        assert_eq!(duration_as_ms(longest), i64::MAX);
    }

    #[test]
    fn a_step_moves_times_but_neither_never_nor_at_once() {
        let shifted = |mut time: UnixMs| {
            time.shift(-3_600_000);
            time
        };
        assert_eq!(shifted(UnixMs::from_i64(3_600_001)).as_i64(), 1);
        assert_eq!(shifted(UnixMs::MAX), UnixMs::MAX);
        assert_eq!(shifted(UnixMs::MIN), UnixMs::MIN);
    }

    #[test]
    fn system_times_before_the_epoch_are_negative() {
        let at = |time: SystemTime| UnixMs::from(time).as_i64();
        let two = Duration::from_secs(2);
        assert_eq!(at(SystemTime::UNIX_EPOCH + two), 2_000);
        assert_eq!(at(SystemTime::UNIX_EPOCH - two), -2_000);
    }

    #[test]
    fn the_serialized_form_is_the_bare_number() {
        let time = UnixMs::from_i64(1_800_000_000_123);
        assert_eq!(serde_json::to_string(&time).unwrap(), "1800000000123");
        assert_eq!(
            serde_json::from_str::<UnixMs>("1800000000123").unwrap(),
            time
        );
    }
}
