//! Computes the time before the next attempt at a failed request.
#![cfg_attr(
    not(feature = "alerting"),
    allow(unreachable_pub, reason = "public with the feature `alerting` only")
)]

use std::time::Duration;

/// Exponential backoff with jitter. The defaults are Alertmanager's.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Backoff {
    /// The wait after the first failure. Default: 0.5 s.
    pub initial: Duration,
    /// The factor between one wait and the next. Default: 1.5.
    pub factor: f64,
    /// The share of a wait by which the wait varies at random, so that many senders do not return at the same moment.
    /// Default: 0.5, for ± 50 %.
    pub jitter: f64,
    /// The longest wait, jitter included. Default: 60 s.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(500),
            factor: 1.5,
            jitter: 0.5,
            max: Duration::from_mins(1),
        }
    }
}

impl Backoff {
    /// The wait after `failures` failed attempts in a row; `random` is from 0 to 1.
    #[must_use]
    pub fn wait(&self, failures: u32, random: f64) -> Duration {
        let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let plain = self.initial.as_secs_f64() * self.factor.powi(exponent);
        let capped = plain.min(self.max.as_secs_f64());
        let varied = capped * (1.0 + self.jitter * (2.0 * random - 1.0));
        Duration::try_from_secs_f64(varied).map_or(self.max, |wait| wait.min(self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_by_half_are_varied_by_half_and_end_at_a_minute() {
        let backoff = Backoff::default();
        let ms = |failures, random| backoff.wait(failures, random).as_millis();
        assert_eq!([ms(1, 0.5), ms(2, 0.5), ms(3, 0.5)], [500, 750, 1_125]);
        assert_eq!([ms(1, 0.0), ms(1, 1.0)], [250, 750]);
        assert_eq!(
            [ms(100, 0.5), ms(100, 1.0), ms(u32::MAX, 0.0)],
            [60_000, 60_000, 30_000]
        );
    }
}
