//! Records the alerts that fired, with their deliveries and acknowledgements.
//!
//! The history has a record for each time that a label set started to fire; above the limit, the oldest records are
//! removed. All records are in memory, so that queries do not wait for the disk; the store has a copy for the next
//! start.

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
use super::{Acknowledgement, Alert, dispatch::Notification};
use crate::runtime::unix_ms::UnixMs;

/// The maximum number of deliveries of a record; the first delivery and the latest deliveries stay.
const MAX_DELIVERIES: usize = 50;

/// The records of the alerts that fired.
#[derive(Debug)]
pub(crate) struct History {
    records: BTreeMap<u64, Arc<HistoryRecord>>,
    /// The id of the latest record, by fingerprint.
    latest: HashMap<u64, u64>,
    /// The end of the validity of each firing alert, by fingerprint.
    firing: HashMap<u64, UnixMs>,
    max_records: usize,
    next_id: u64,
    changed: BTreeSet<u64>,
}

/// A change of the history, for the store.
#[derive(Clone, Debug)]
pub(crate) enum HistoryChange {
    Put(Arc<HistoryRecord>),
    Remove(u64),
}

impl History {
    /// Creates a history of at most `max_records` records from the persisted records. Alerts that fired before the
    /// restart stay valid until `grace_until`.
    pub(crate) fn new(
        max_records: usize,
        records: Vec<HistoryRecord>,
        grace_until: UnixMs,
    ) -> Self {
        let mut history = Self {
            records: BTreeMap::new(),
            latest: HashMap::new(),
            firing: HashMap::new(),
            max_records: max_records.max(1),
            next_id: 1,
            changed: BTreeSet::new(),
        };
        for record in records {
            history.next_id = history.next_id.max(record.id + 1);
            history.latest.insert(record.fingerprint, record.id);
            if record.ends_at.is_none() {
                history.firing.insert(record.fingerprint, grace_until);
            }
            history.records.insert(record.id, Arc::new(record));
        }
        history.remove_oldest();
        history
    }

    /// Records the alerts that are put into the dispatcher.
    pub(crate) fn observe(&mut self, alerts: &[Alert], now: UnixMs) {
        for alert in alerts {
            let fingerprint = alert.fingerprint();
            let ends_at = UnixMs::from_i64(alert.ends_at);
            match (ends_at <= now, self.firing.get_mut(&fingerprint)) {
                (false, Some(valid_until)) => *valid_until = ends_at,
                (false, None) => self.start(fingerprint, alert),
                (true, Some(_)) => self.end(fingerprint, ends_at),
                (true, None) => {}
            }
        }
    }

    /// Ends the alerts whose validity has ended without an update.
    pub(crate) fn expire(&mut self, now: UnixMs) {
        let expired: Vec<(u64, UnixMs)> = self
            .firing
            .iter()
            .filter(|(_, valid_until)| **valid_until <= now)
            .map(|(fingerprint, valid_until)| (*fingerprint, *valid_until))
            .collect();
        for (fingerprint, ended_at) in expired {
            self.end(fingerprint, ended_at);
        }
    }

    /// Records the delivery of a notification with each of its alerts.
    pub(crate) fn record_delivery(
        &mut self,
        notification: &Notification,
        delivery: &DeliveryRecord,
    ) {
        for alert in &notification.message.alerts {
            let step = notification.message.escalation_step;
            self.change(alert.fingerprint, |record| {
                record.escalation_step = record.escalation_step.max(step);
                if record.deliveries.len() >= MAX_DELIVERIES {
                    // The first delivery shows the time of the first notification, the latest show the current state.
                    record.deliveries.remove(1);
                }
                record.deliveries.push(delivery.clone());
            });
        }
    }

    /// Records an acknowledgement with each of its alerts.
    pub(crate) fn record_acknowledgement(&mut self, acknowledgement: &Acknowledgement) {
        for fingerprint in &acknowledgement.alerts {
            self.change(*fingerprint, |record| {
                if record.acknowledged_at.is_none() {
                    record.acknowledged_at = Some(acknowledgement.at);
                    record.acknowledged_by = Some(acknowledgement.by.clone());
                    record.acknowledge_comment = Some(acknowledgement.comment.clone());
                }
            });
        }
    }

    /// Returns the changes since the last call.
    pub(crate) fn take_changes(&mut self) -> Vec<HistoryChange> {
        let ids = std::mem::take(&mut self.changed);
        let changes = ids.into_iter().map(|id| match self.records.get(&id) {
            Some(record) => HistoryChange::Put(Arc::clone(record)),
            None => HistoryChange::Remove(id),
        });
        changes.collect()
    }

    /// Marks every record as changed, for a new or recovered store.
    pub(crate) fn mark_all_changed(&mut self) {
        self.changed.extend(self.records.keys());
    }

    /// Moves the records of firing alerts by a step of the wall clock, before which the time was `before`, and adds a
    /// record of the step. Records of ended alerts keep the times that the wall clock had.
    pub(crate) fn shift(&mut self, by_ms: i64, before: UnixMs) {
        for (fingerprint, valid_until) in &mut self.firing {
            valid_until.shift(by_ms);
            if let Some(id) = self.latest.get(fingerprint)
                && let Some(record) = self.records.get_mut(id)
            {
                Arc::make_mut(record).shift(by_ms);
                self.changed.insert(*id);
            }
        }
        let record = HistoryRecord::clock_step(self.next_id, by_ms, before);
        self.changed.insert(record.id);
        self.records.insert(record.id, Arc::new(record));
        self.next_id += 1;
        self.remove_oldest();
    }

    fn start(&mut self, fingerprint: u64, alert: &Alert) {
        let id = self.next_id;
        self.next_id += 1;
        let record = HistoryRecord::new(id, fingerprint, alert);
        self.records.insert(id, Arc::new(record));
        self.latest.insert(fingerprint, id);
        self.firing
            .insert(fingerprint, UnixMs::from_i64(alert.ends_at));
        self.changed.insert(id);
        self.remove_oldest();
    }

    fn end(&mut self, fingerprint: u64, ended_at: UnixMs) {
        self.firing.remove(&fingerprint);
        self.change(fingerprint, |record| {
            record.ends_at = Some(ended_at.as_i64());
        });
    }

    fn change(&mut self, fingerprint: u64, change: impl FnOnce(&mut HistoryRecord)) {
        if let Some(id) = self.latest.get(&fingerprint)
            && let Some(record) = self.records.get_mut(id)
        {
            change(Arc::make_mut(record));
            self.changed.insert(*id);
        }
    }

    fn remove_oldest(&mut self) {
        while self.records.len() > self.max_records {
            let Some((id, record)) = self.records.pop_first() else {
                return;
            };
            if self.latest.get(&record.fingerprint) == Some(&id) {
                // The alert may still fire: it stays in `firing`, so that the next update starts no second record.
                self.latest.remove(&record.fingerprint);
            }
            self.changed.insert(id);
        }
    }
}
