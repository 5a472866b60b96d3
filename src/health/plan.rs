//! Computes when a check runs, and when its last result expires.

use std::time::Duration;

use crate::net::Backoff;

/// When and for how long a check runs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    pub(super) retries: u32,
    pub(super) start_delay: Duration,
    pub(super) failure_threshold: u32,
    pub(super) backoff: Backoff,
}

impl Plan {
    /// Returns the time of the longest possible run: all attempts time out, and every backoff is the longest.
    pub(super) fn longest_run(&self) -> Duration {
        let waits: Duration = (1..=self.retries).map(|n| self.backoff.wait(n, 1.0)).sum();
        self.timeout.saturating_mul(self.retries + 1) + waits
    }

    /// Returns the age at which a result expires: twice the interval plus the longest possible run.
    pub(super) fn max_age(&self) -> Duration {
        self.interval.saturating_mul(2) + self.longest_run()
    }

    /// Returns the time of the next run. A run that took longer than the interval is followed at once.
    pub(super) fn next_run(&self, started: Duration, now: Duration) -> Duration {
        (started + self.interval).max(now)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::health) fn plan() -> Plan {
        Plan {
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            retries: 3,
            start_delay: Duration::ZERO,
            failure_threshold: 1,
            backoff: Backoff {
                initial: Duration::from_secs(1),
                factor: 2.0,
                jitter: 0.5,
                max: Duration::from_secs(4),
            },
        }
    }

    #[test]
    fn a_result_expires_after_two_intervals_and_the_longest_run() {
        let plan = plan();
        // Four attempts of 5 s; waits of 1.5 s, 3 s, and 4 s instead of 6 s.
        assert_eq!(plan.longest_run(), Duration::from_millis(28_500));
        assert_eq!(plan.max_age(), Duration::from_millis(48_500));
        let once = Plan { retries: 0, ..plan };
        assert_eq!(once.max_age(), Duration::from_secs(25));
    }

    #[test]
    fn runs_keep_their_interval_and_a_long_run_is_followed_at_once() {
        let at = Duration::from_secs;
        assert_eq!(plan().next_run(at(10), at(11)), at(20));
        assert_eq!(plan().next_run(at(10), at(35)), at(35));
    }
}
