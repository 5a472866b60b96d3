//! Computes the delay before the next attempt.

use std::time::Duration;

/// Exponential backoff with jitter; the default values are Alertmanager's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Backoff {
    /// The first delay. Default: 0.5 s.
    pub(crate) initial: Duration,
    /// The factor between two delays. Default: 1.5.
    pub(crate) factor: f64,
    /// The random variation of each delay, so that many senders do not retry at the same time. Default: 0.5, for
    /// ± 50 %.
    pub(crate) jitter: f64,
    /// The maximum delay. Default: 60 s.
    pub(crate) max: Duration,
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
    /// Returns the delay after `failures` consecutive failures; `random` is from 0 to 1.
    pub(crate) fn delay(&self, failures: u32, random: f64) -> Duration {
        let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let exponential = self.initial.as_secs_f64() * self.factor.powi(exponent);
        let capped = exponential.min(self.max.as_secs_f64());
        let jittered = capped * (1.0 + self.jitter * (2.0 * random - 1.0));
        Duration::try_from_secs_f64(jittered).map_or(self.max, |delay| delay.min(self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_by_half_vary_by_half_and_end_at_a_minute() {
        let backoff = Backoff::default();
        let ms = |failures, random| backoff.delay(failures, random).as_millis();
        assert_eq!([ms(1, 0.5), ms(2, 0.5), ms(3, 0.5)], [500, 750, 1_125]);
        assert_eq!([ms(1, 0.0), ms(1, 1.0)], [250, 750]);
        assert_eq!(
            [ms(100, 0.5), ms(100, 1.0), ms(u32::MAX, 0.0)],
            [60_000, 60_000, 30_000]
        );
    }
}
