//! Remembers which alerts fired, who was told of them when and with which answer, and who acknowledged.
//!
//! One record for each time that a label set began to fire, the oldest forgotten beyond the limit. All of it is in
//! memory, so that a question never waits for the disk; the store has a copy for the next start.

mod query;
mod record;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

pub use self::{
    query::{HistoryQuery, HistoryStatistics},
    record::{DeliveryOutcome, DeliveryRecord, HistoryRecord},
};
use super::{Acknowledgement, Alert, Notification, outbox::Write};

/// Deliveries that one record keeps; the first one and the latest stay.
const MAX_DELIVERIES: usize = 50;

/// The alerts that fired.
#[derive(Debug)]
pub struct History {
    records: BTreeMap<u64, Arc<HistoryRecord>>,
    /// The latest record of each label set.
    latest: HashMap<u64, u64>,
    /// Those that fire, with how long they hold good.
    open: HashMap<u64, i64>,
    max: usize,
    next_id: u64,
    changed: BTreeSet<u64>,
}

impl History {
    /// A history of at most `max` records, which begins with these.
    pub(crate) fn new(max: usize, records: Vec<HistoryRecord>, grace_until: i64) -> Self {
        let mut history = Self {
            records: BTreeMap::new(),
            latest: HashMap::new(),
            open: HashMap::new(),
            max: max.max(1),
            next_id: 1,
            changed: BTreeSet::new(),
        };
        for record in records {
            history.next_id = history.next_id.max(record.id + 1);
            history.latest.insert(record.fingerprint, record.id);
            if record.ends_at.is_none() {
                history.open.insert(record.fingerprint, grace_until);
            }
            history.records.insert(record.id, Arc::new(record));
        }
        history.forget_oldest();
        history
    }

    /// Sees the alerts that the dispatcher gets.
    pub(crate) fn observe(&mut self, alerts: &[Alert], now: i64) {
        for alert in alerts {
            let fingerprint = alert.fingerprint();
            match (alert.is_resolved_at(now), self.open.get_mut(&fingerprint)) {
                (false, Some(valid_until)) => *valid_until = alert.ends_at,
                (false, None) => self.begin(fingerprint, alert),
                (true, Some(_)) => self.end(fingerprint, alert.ends_at),
                (true, None) => {}
            }
        }
    }

    /// Ends what nobody has sent again in time.
    pub(crate) fn expire(&mut self, now: i64) {
        let expired: Vec<(u64, i64)> = self
            .open
            .iter()
            .filter(|(_, valid_until)| **valid_until <= now)
            .map(|(fingerprint, valid_until)| (*fingerprint, *valid_until))
            .collect();
        for (fingerprint, ended_at) in expired {
            self.end(fingerprint, ended_at);
        }
    }

    /// Notes what became of a notification, with each of its alerts.
    pub(crate) fn delivered(&mut self, notification: &Notification, delivery: &DeliveryRecord) {
        for alert in &notification.message.alerts {
            let step = notification.message.escalation_step;
            self.change(alert.fingerprint, |record| {
                record.escalation_step = record.escalation_step.max(step);
                if record.deliveries.len() >= MAX_DELIVERIES {
                    // The first says when somebody knew; the latest say how it goes on.
                    record.deliveries.remove(1);
                }
                record.deliveries.push(delivery.clone());
            });
        }
    }

    /// Notes who has acknowledged.
    pub(crate) fn acknowledged(&mut self, given: &Acknowledgement) {
        for fingerprint in &given.alerts {
            self.change(*fingerprint, |record| {
                if record.acknowledged_at.is_none() {
                    record.acknowledged_at = Some(given.at);
                    record.acknowledged_by = Some(given.by.clone());
                    record.acknowledge_comment = Some(given.comment.clone());
                }
            });
        }
    }

    /// What has changed since this was last asked.
    pub(crate) fn take_writes(&mut self) -> Vec<Write> {
        let changed = std::mem::take(&mut self.changed);
        let writes = changed.into_iter().map(|id| match self.records.get(&id) {
            Some(record) => Write::PutHistory(Arc::clone(record)),
            None => Write::RemoveHistory(id),
        });
        writes.collect()
    }

    /// Everything, as if all of it had changed.
    pub(crate) fn mark_all_changed(&mut self) {
        self.changed.extend(self.records.keys());
    }

    fn begin(&mut self, fingerprint: u64, alert: &Alert) {
        let id = self.next_id;
        self.next_id += 1;
        let record = HistoryRecord::new(id, fingerprint, alert);
        self.records.insert(id, Arc::new(record));
        self.latest.insert(fingerprint, id);
        self.open.insert(fingerprint, alert.ends_at);
        self.changed.insert(id);
        self.forget_oldest();
    }

    fn end(&mut self, fingerprint: u64, ended_at: i64) {
        self.open.remove(&fingerprint);
        self.change(fingerprint, |record| record.ends_at = Some(ended_at));
    }

    fn change(&mut self, fingerprint: u64, change: impl FnOnce(&mut HistoryRecord)) {
        if let Some(id) = self.latest.get(&fingerprint)
            && let Some(record) = self.records.get_mut(id)
        {
            change(Arc::make_mut(record));
            self.changed.insert(*id);
        }
    }

    fn forget_oldest(&mut self) {
        while self.records.len() > self.max {
            let Some((id, record)) = self.records.pop_first() else {
                return;
            };
            if self.latest.get(&record.fingerprint) == Some(&id) {
                // It may fire on: it stays in `open`, so that the next re-send does not begin it again.
                self.latest.remove(&record.fingerprint);
            }
            self.changed.insert(id);
        }
    }
}
