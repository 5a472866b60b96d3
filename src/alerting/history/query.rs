//! Questions to the history.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::Serialize;

use super::{History, HistoryRecord};
use crate::{alerting::Severity, query::Matcher};

const HOUR_MS: i64 = 3_600_000;
/// Rules that the statistics name as the noisiest.
const NOISIEST: usize = 5;

/// Which records are wanted: all of what is set must hold.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct HistoryQuery {
    /// Those that fired at this moment or later, in milliseconds since the epoch.
    pub since: Option<i64>,
    /// Those that began before this moment.
    pub until: Option<i64>,
    /// Those of this rule.
    pub rule: Option<String>,
    /// Those of this severity.
    pub severity: Option<Severity>,
    /// Those whose labels match.
    pub matchers: Vec<Matcher>,
    /// Those that fire, or those that do not.
    pub is_active: Option<bool>,
    /// At most so many, the latest first; 0 for all.
    pub limit: usize,
}

/// The history in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HistoryStatistics {
    /// All that is remembered.
    pub total: usize,
    /// Alerts that fire.
    pub active: usize,
    /// Alerts that began within the last hour.
    pub last_hour: usize,
    /// Alerts that began within the last 24 hours.
    pub last_day: usize,
    /// All of them, by severity.
    pub by_severity: BTreeMap<String, usize>,
    /// All of them, by rule.
    pub by_rule: BTreeMap<String, usize>,
    /// From the beginning to the acknowledgement, of those that have one.
    pub mean_time_to_acknowledge: Option<Duration>,
    /// From the beginning to the end, of those that are over.
    pub mean_time_to_resolve: Option<Duration>,
    /// The rules that fired most often, with how often.
    pub noisiest: Vec<(String, usize)>,
}

impl History {
    /// The records that are wanted, the latest first.
    #[must_use]
    pub fn query(&self, query: &HistoryQuery) -> Vec<Arc<HistoryRecord>> {
        let limit = if query.limit == 0 {
            usize::MAX
        } else {
            query.limit
        };
        let matching = self
            .records
            .values()
            .rev()
            .filter(|record| query.wants(record));
        matching.take(limit).cloned().collect()
    }

    /// The history in numbers.
    #[must_use]
    pub fn statistics(&self, now: i64) -> HistoryStatistics {
        let mut statistics = HistoryStatistics {
            total: self.records.len(),
            active: self.open.len(),
            ..HistoryStatistics::default()
        };
        let (mut acknowledge, mut resolve) = (Mean::default(), Mean::default());
        for record in self.records.values() {
            let age = now.saturating_sub(record.starts_at);
            statistics.last_hour += usize::from(age <= HOUR_MS);
            statistics.last_day += usize::from(age <= 24 * HOUR_MS);
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
        rules.truncate(NOISIEST);
        statistics.noisiest = rules;
        statistics
    }
}

impl HistoryQuery {
    fn wants(&self, record: &HistoryRecord) -> bool {
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

#[derive(Default)]
struct Mean {
    sum_ms: u128,
    count: u128,
}

impl Mean {
    fn add(&mut self, end: Option<i64>, start: i64) {
        if let Some(ms) = end.and_then(|end| u128::try_from(end.saturating_sub(start)).ok()) {
            self.sum_ms += ms;
            self.count += 1;
        }
    }

    fn get(&self) -> Option<Duration> {
        let ms = self.sum_ms.checked_div(self.count)?;
        Some(Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX)))
    }
}
