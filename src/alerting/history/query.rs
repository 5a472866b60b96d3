//! Queries the history and computes its statistics.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::Serialize;

use super::{History, HistoryRecord, record::CLOCK_STEP};
use crate::{
    alerting::Severity,
    query::Matcher,
    runtime::unix_ms::{UnixMs, duration_as_ms, duration_from_ms},
};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// The maximum number of rules in [`HistoryStatistics::noisiest`].
const MAX_NOISIEST: usize = 5;

/// A filter of history records: a record must meet all conditions that are set.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct HistoryQuery {
    /// Selects alerts that fired at this time or later, in milliseconds since the epoch.
    pub since: Option<i64>,
    /// Selects alerts that started before this time, in milliseconds since the epoch.
    pub until: Option<i64>,
    /// Selects alerts of this rule.
    pub rule: Option<String>,
    /// Selects alerts of this severity.
    pub severity: Option<Severity>,
    /// Selects alerts whose labels match.
    pub matchers: Vec<Matcher>,
    /// Selects firing alerts if `true`, resolved alerts if `false`.
    pub is_active: Option<bool>,
    /// The maximum number of records, latest first; 0 for no limit.
    pub limit: usize,
}

/// The statistics of the history, without the records of clock steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HistoryStatistics {
    /// The number of records.
    pub total: usize,
    /// The number of firing alerts.
    pub active: usize,
    /// The number of alerts that started within the last hour.
    pub last_hour: usize,
    /// The number of alerts that started within the last 24 hours.
    pub last_day: usize,
    /// The number of records by severity.
    pub by_severity: BTreeMap<String, usize>,
    /// The number of records by rule.
    pub by_rule: BTreeMap<String, usize>,
    /// The mean time from the start of an alert to its acknowledgement, over acknowledged alerts.
    pub mean_time_to_acknowledge: Option<Duration>,
    /// The mean time from the start of an alert to its end, over resolved alerts.
    pub mean_time_to_resolve: Option<Duration>,
    /// The rules with the most records, at most five, with the number of records.
    pub noisiest: Vec<(String, usize)>,
}

impl History {
    /// Returns the records that match the query, latest first.
    pub(crate) fn query(&self, query: &HistoryQuery) -> Vec<Arc<HistoryRecord>> {
        let limit = if query.limit == 0 {
            usize::MAX
        } else {
            query.limit
        };
        let matching = self
            .records
            .values()
            .rev()
            .filter(|record| query.matches(record));
        matching.take(limit).cloned().collect()
    }

    /// Returns the statistics of the history at `now`.
    pub(crate) fn statistics(&self, now: UnixMs) -> HistoryStatistics {
        let alerts = self.records.values();
        let alerts = alerts.filter(|record| record.rule != CLOCK_STEP);
        let mut statistics = HistoryStatistics {
            total: alerts.clone().count(),
            active: self.firing.len(),
            ..HistoryStatistics::default()
        };
        let (mut acknowledge, mut resolve) = (Mean::default(), Mean::default());
        for record in alerts {
            let age = now.saturating_since(UnixMs::from_i64(record.starts_at));
            statistics.last_hour += usize::from(age <= HOUR);
            statistics.last_day += usize::from(age <= DAY);
            let severity = record.severity.as_str().to_owned();
            *statistics.by_severity.entry(severity).or_default() += 1;
            *statistics.by_rule.entry(record.rule.clone()).or_default() += 1;
            acknowledge.add(record.acknowledged_at, record.starts_at);
            resolve.add(record.ends_at, record.starts_at);
        }
        statistics.mean_time_to_acknowledge = acknowledge.get();
        statistics.mean_time_to_resolve = resolve.get();
        let mut rules: Vec<_> = statistics.by_rule.clone().into_iter().collect();
        rules.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        rules.truncate(MAX_NOISIEST);
        statistics.noisiest = rules;
        statistics
    }
}

impl HistoryQuery {
    fn matches(&self, record: &HistoryRecord) -> bool {
        let value = |name: &str| record.labels.get(name).map_or("", String::as_str);
        self.since
            .is_none_or(|since| record.ends_at.is_none_or(|ended| ended >= since))
            && self.until.is_none_or(|until| record.starts_at < until)
            && self.rule.as_ref().is_none_or(|rule| *rule == record.rule)
            && self
                .severity
                .is_none_or(|severity| severity == record.severity)
            && self
                .is_active
                .is_none_or(|active| active == record.ends_at.is_none())
            && self
                .matchers
                .iter()
                .all(|matcher| matcher.is_match(value(matcher.name())))
    }
}

/// The mean of durations.
#[derive(Default)]
struct Mean {
    sum: Duration,
    count: u32,
}

impl Mean {
    /// Adds the time from `start` to `end`; an alert without an end, or with an end before its start, does not count.
    fn add(&mut self, end: Option<i64>, start: i64) {
        if let Some(ms) = end
            .map(|end| end.saturating_sub(start))
            .filter(|ms| *ms >= 0)
        {
            self.sum = self.sum.saturating_add(duration_from_ms(ms));
            self.count += 1;
        }
    }

    /// Returns the mean in whole milliseconds.
    fn get(&self) -> Option<Duration> {
        let mean = self.sum.checked_div(self.count)?;
        Some(duration_from_ms(duration_as_ms(mean)))
    }
}
