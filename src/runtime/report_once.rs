//! Limits the log lines about lasting problems: one line per problem and interval.

use std::{collections::HashMap, hash::Hash, time::Duration};

/// The problems that were logged within the last interval, by the part that has the problem.
#[derive(Debug)]
pub(crate) struct ReportOnce<K> {
    interval: Duration,
    reported: HashMap<K, Report>,
}

#[derive(Debug)]
struct Report {
    problem: String,
    at: Duration,
}

impl<K: Eq + Hash> ReportOnce<K> {
    /// Creates a limiter that repeats a lasting problem after each `interval`.
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            interval,
            reported: HashMap::new(),
        }
    }

    /// Returns whether a problem must be logged at `now`, and then remembers the problem as logged.
    ///
    /// A problem must be logged if the text differs from the last logged problem of the same `part`, or if the last
    /// log line is older than the interval. `now` is a reading of a monotonic clock.
    pub(crate) fn is_due(&mut self, part: K, problem: &str, now: Duration) -> bool {
        // An entry older than the interval belongs to a solved problem or to a problem that must be repeated.
        let interval = self.interval;
        self.reported
            .retain(|_, report| now.saturating_sub(report.at) < interval);
        if self
            .reported
            .get(&part)
            .is_some_and(|report| report.problem == problem)
        {
            return false;
        }
        let report = Report {
            problem: problem.to_owned(),
            at: now,
        };
        self.reported.insert(part, report);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lasting_problem_is_reported_once_per_interval() {
        let mut once = ReportOnce::new(Duration::from_hours(1));
        let at = Duration::from_mins;
        assert!(once.is_due("rule", "a", at(0)));
        assert!(!once.is_due("rule", "a", at(59)));
        assert!(once.is_due("other", "a", at(59)));
        assert!(once.is_due("rule", "b", at(59)));
        assert!(!once.is_due("rule", "b", at(60)));
        assert!(once.is_due("rule", "b", at(119)));
    }
}
