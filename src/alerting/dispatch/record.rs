//! What is written down of alerts and groups, so that a restart forgets nothing.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    Dispatcher, Notification,
    acknowledge::Acknowledgement,
    dedup::LogEntry,
    group::{EscalationState, Group},
};
use crate::alerting::{Alert, Silence, outbox::saved, route::Destination};

/// A group as it is written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct GroupRecord {
    pub(crate) id: String,
    pub(super) receiver: String,
    pub(super) route_key: String,
    pub(super) key: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) members: Vec<u64>,
    pub(super) next_flush: i64,
    pub(super) has_flushed: bool,
    pub(super) last_notified: i64,
    pub(super) interval_ms: i64,
    pub(super) repeat_ms: i64,
    pub(super) log: Vec<(String, u16, LogEntry)>,
    pub(super) escalation: Option<EscalationState>,
    pub(super) acknowledgement: Option<Acknowledgement>,
}

/// An alert as it is written down when it begins and when it ends, not each time it is sent again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SavedState {
    #[serde(with = "saved::shared")]
    pub(super) alert: Arc<Alert>,
    /// Its end was told. One that fires has an end as well, but that is only how long it holds good.
    pub(super) is_over: bool,
}

/// One thing to be written down; all of one list together, or none.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    PutAlert(u64, SavedState),
    RemoveAlert(u64),
    PutGroup(Box<GroupRecord>),
    RemoveGroup(String),
    PutSilence(Silence),
    RemoveSilence(String),
}

/// What was written down.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    pub(crate) alerts: Vec<SavedState>,
    pub(crate) groups: Vec<GroupRecord>,
    pub(crate) silences: Vec<Silence>,
    /// Notifications that nobody has accepted yet.
    pub(crate) outbox: Vec<Notification>,
}

impl Dispatcher {
    /// What has changed since this was last asked. Must be written down before the notifications of the same tick
    /// are sent.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        let dirty = std::mem::take(&mut self.dirty);
        let mut changes = Vec::new();
        changes.extend(dirty.alerts.into_iter().map(
            |fingerprint| match self.alerts.get(fingerprint) {
                Some(entry) => {
                    let state = SavedState {
                        alert: Arc::clone(&entry.alert),
                        is_over: entry.is_over,
                    };
                    Change::PutAlert(fingerprint, state)
                }
                None => Change::RemoveAlert(fingerprint),
            },
        ));
        changes.extend(
            dirty
                .groups
                .into_iter()
                .map(|id| match self.groups.get(&id) {
                    Some(group) => Change::PutGroup(Box::new(group.record())),
                    None => Change::RemoveGroup(id.to_string()),
                }),
        );
        changes.extend(
            dirty
                .silences
                .into_iter()
                .map(|id| match self.silences.get(&id) {
                    Some(silence) => Change::PutSilence(silence.clone()),
                    None => Change::RemoveSilence(id),
                }),
        );
        changes
    }

    /// Everything, as if all of it had changed: for a store that starts anew.
    pub(crate) fn mark_all_changed(&mut self) {
        self.dirty
            .alerts
            .extend(self.alerts.iter().map(|(fingerprint, _)| fingerprint));
        self.dirty.groups.extend(self.groups.keys().cloned());
        let silences = self.silences.list(i64::MAX);
        self.dirty
            .silences
            .extend(silences.into_iter().map(|silence| silence.id));
    }
}

impl Group {
    pub(super) fn record(&self) -> GroupRecord {
        let mut members: Vec<u64> = self.members.iter().copied().collect();
        members.sort_unstable();
        let log = self.log.iter().map(|(destination, entry)| {
            (
                destination.channel.to_string(),
                destination.index,
                entry.clone(),
            )
        });
        GroupRecord {
            id: self.id.to_string(),
            receiver: self.receiver.to_string(),
            route_key: self.route_key.clone(),
            key: self.key.clone(),
            labels: saved::pairs(&self.labels),
            members,
            next_flush: self.next_flush,
            has_flushed: self.has_flushed,
            last_notified: self.last_notified,
            interval_ms: self.interval_ms,
            repeat_ms: self.repeat_ms,
            log: log.collect(),
            escalation: self.escalation.clone(),
            acknowledgement: self.acknowledgement.clone(),
        }
    }
}

impl GroupRecord {
    pub(super) fn log(&self) -> BTreeMap<Destination, LogEntry> {
        let entries = self.log.iter().map(|(channel, index, entry)| {
            let destination = Destination {
                channel: channel.as_str().into(),
                index: *index,
            };
            (destination, entry.clone())
        });
        entries.collect()
    }
}
