//! Defines the persistent form of alerts and groups, and collects the changes that the store must write.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    Dispatcher, Notification,
    acknowledge::Acknowledgement,
    dedup::LogEntry,
    group::{EscalationState, Group},
};
use crate::{
    alerting::{
        Alert, Silence,
        alert::{label_map, shared},
        route::Destination,
    },
    runtime::unix_ms::{UnixMs, duration_as_ms},
};

/// The persistent form of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct GroupRecord {
    pub(crate) id: String,
    pub(super) receiver: String,
    pub(super) route_key: String,
    pub(super) key: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) members: Vec<u64>,
    pub(super) next_flush: UnixMs,
    pub(super) has_flushed: bool,
    pub(super) last_notified: UnixMs,
    #[serde(rename = "interval_ms")]
    pub(super) group_interval_ms: i64,
    #[serde(rename = "repeat_ms")]
    pub(super) repeat_interval_ms: i64,
    pub(super) log: Vec<(String, u16, LogEntry)>,
    pub(super) escalation: Option<EscalationState>,
    pub(super) acknowledgement: Option<Acknowledgement>,
}

/// The persistent form of an alert. The store writes it when the alert starts and resolves, not for each update.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AlertRecord {
    #[serde(with = "shared")]
    pub(super) alert: Arc<Alert>,
    /// True if an update reported the end of the alert. A firing alert also has an end: the end of its validity.
    #[serde(rename = "is_over")]
    pub(super) is_reported_resolved: bool,
}

/// A change for the store. The store writes all changes of a batch in one transaction.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    PutAlert(u64, AlertRecord),
    RemoveAlert(u64),
    PutGroup(Box<GroupRecord>),
    RemoveGroup(String),
    PutSilence(Silence),
    RemoveSilence(String),
}

/// The state that the store held at the start.
#[derive(Debug, Default)]
pub(crate) struct PersistedState {
    pub(crate) alerts: Vec<AlertRecord>,
    pub(crate) groups: Vec<GroupRecord>,
    pub(crate) silences: Vec<Silence>,
    /// Notifications that no receiver has accepted yet.
    pub(crate) outbox: Vec<Notification>,
}

impl Dispatcher {
    /// Returns the changes since the last call. The caller must write them before it sends the notifications of the
    /// same tick.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        let dirty = std::mem::take(&mut self.dirty);
        let mut changes = Vec::new();
        changes.extend(dirty.alerts.into_iter().map(
            |fingerprint| match self.alerts.get(fingerprint) {
                Some(entry) => {
                    let record = AlertRecord {
                        alert: Arc::clone(&entry.alert),
                        is_reported_resolved: entry.is_reported_resolved,
                    };
                    Change::PutAlert(fingerprint, record)
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

    /// Marks the complete state as changed, for a new or recovered store.
    pub(crate) fn mark_all_changed(&mut self) {
        self.dirty
            .alerts
            .extend(self.alerts.iter().map(|(fingerprint, _)| fingerprint));
        self.dirty.groups.extend(self.groups.keys().cloned());
        let silences = self.silences.list(UnixMs::MAX);
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
            labels: label_map(&self.labels),
            members,
            next_flush: self.next_flush,
            has_flushed: self.has_flushed,
            last_notified: self.last_notified,
            group_interval_ms: duration_as_ms(self.group_interval),
            repeat_interval_ms: duration_as_ms(self.repeat_interval),
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
