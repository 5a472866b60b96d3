//! Limits the log lines about lasting problems: one line per problem and interval.

use std::{collections::HashMap, hash::Hash, ops::Sub, time::Duration};

/// The problems that were logged within the last interval, by the part that has the problem.
///
/// `T` is a reading of a monotonic clock: the time since its start, or an `Instant`.
#[derive(Debug)]
pub(crate) struct ReportOnce<K, T = Duration> {
    interval: Duration,
    reports: HashMap<K, Report<T>>,
}

#[derive(Debug)]
struct Report<T> {
    problem: String,
    at: T,
    /// The occurrences since the log line.
    unreported: usize,
}

impl<K: Eq + Hash, T: Copy + PartialOrd + Sub<Output = Duration>> ReportOnce<K, T> {
    /// Creates a limiter that repeats a lasting problem after each `interval`.
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            interval,
            reports: HashMap::new(),
        }
    }

    /// Creates a limiter that never repeats a problem.
    pub(crate) fn forever() -> Self {
        Self::new(Duration::MAX)
    }

    /// Returns the number of parts with a recent problem.
    pub(crate) fn len(&self) -> usize {
        self.reports.len()
    }

    /// Returns `true` if a problem must be logged at `now`, and then remembers the problem as logged.
    ///
    /// A problem must be logged if the text differs from the last logged problem of the same `part`, or if the last
    /// log line is older than the interval.
    pub(crate) fn is_due(&mut self, part: K, problem: &str, now: T) -> bool {
        self.count_due(part, problem, 1, now).is_some()
    }

    /// Adds `occurrences` of a problem, and returns their number since the last log line if the problem must be logged.
    pub(crate) fn count_due(
        &mut self,
        part: K,
        problem: &str,
        occurrences: usize,
        now: T,
    ) -> Option<usize> {
        let interval = self.interval;
        let is_recent = |report: &Report<T>| now < report.at || now - report.at < interval;
        // An older entry of another part belongs to a solved problem.
        self.reports
            .retain(|other, report| *other == part || is_recent(report));
        let last = self.reports.get_mut(&part);
        if let Some(report) = last
            && is_recent(report)
            && report.problem == problem
        {
            report.unreported += occurrences;
            return None;
        }
        let report = Report {
            problem: problem.to_owned(),
            at: now,
            unreported: 0,
        };
        let last = self.reports.insert(part, report);
        Some(occurrences + last.map_or(0, |last| last.unreported))
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
        let mut once = ReportOnce::forever();
        assert!(once.is_due("metric", "", Duration::ZERO));
        assert!(!once.is_due("metric", "", Duration::from_secs(u64::MAX)));
        assert_eq!(once.len(), 1);
    }

    #[test]
    fn a_line_counts_all_occurrences_since_the_last_line() {
        let mut once = ReportOnce::new(Duration::from_mins(1));
        let at = Duration::from_secs;
        assert_eq!(once.count_due("receiver", "", 3, at(5)), Some(3));
        assert_eq!(once.count_due("receiver", "", 2, at(35)), None);
        assert_eq!(once.count_due("receiver", "", 5, at(65)), Some(7));
    }
}
