//! Tracks a group of alerts: its members, its schedule, and the notification log of each address.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{acknowledge::Acknowledgement, dedup::LogEntry};
use crate::{
    alerting::{
        Message,
        route::{Destination, RouteNode},
    },
    query::Labels,
    runtime::unix_ms::{UnixMs, shift_ms},
};

/// The alerts of a route that share the group labels.
#[derive(Debug)]
#[expect(
    clippy::struct_field_names,
    reason = "`group_interval` is the term of Alertmanager"
)]
pub(super) struct Group {
    /// Receiver and group key: the same after a restart.
    pub(super) id: Arc<str>,
    pub(super) receiver: Arc<str>,
    /// The index of the route; `None` if the current configuration does not have the route.
    pub(super) route: Option<usize>,
    pub(super) route_key: String,
    /// Alertmanager's group key.
    pub(super) key: String,
    pub(super) labels: Labels,
    /// The fingerprints of the group's alerts.
    pub(super) members: HashSet<u64>,
    pub(super) next_flush: UnixMs,
    pub(super) has_flushed: bool,
    /// The revision of the alert table at the last flush.
    pub(super) flushed_revision: u64,
    pub(super) flushed_at: UnixMs,
    pub(super) last_notified: UnixMs,
    pub(super) group_interval: Duration,
    pub(super) repeat_interval: Duration,
    pub(super) log: BTreeMap<Destination, LogEntry>,
    /// The id of the notification in flight to each address.
    pub(super) in_flight: HashMap<Destination, u64>,
    pub(super) escalation: Option<EscalationState>,
    pub(super) acknowledgement: Option<Acknowledgement>,
    /// True if an address lacks the state of the last flush, because a notification was in flight or failed. Until the
    /// next flush the group keeps its resolved alerts; otherwise their resolved notifications would be lost.
    pub(super) has_stale_address: bool,
}

/// The progress of a group's escalation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EscalationState {
    /// The number of executed steps since the start of the escalation; steps may repeat.
    #[serde(rename = "taken")]
    pub(super) steps_executed: usize,
    /// The number of steps whose addresses were notified: they receive all later notifications.
    #[serde(rename = "highest")]
    pub(super) steps_notified: usize,
    pub(super) next_at: UnixMs,
    /// True if an acknowledgement paused the escalation.
    pub(super) is_paused: bool,
    /// The addresses that had a notification in flight when their step was executed: they are notified afterwards.
    #[serde(default, rename = "owed")]
    pub(super) deferred: BTreeSet<Destination>,
}

impl Group {
    pub(super) fn new(route: usize, node: &RouteNode, labels: &Labels) -> Self {
        let key = format!("{}:{labels}", node.key);
        Self {
            // The names of receivers do not contain the unit separator.
            id: format!("{}\u{1f}{key}", node.receiver).into(),
            receiver: Arc::clone(&node.receiver),
            route: Some(route),
            route_key: node.key.clone(),
            key,
            labels: labels.clone(),
            members: HashSet::new(),
            next_flush: UnixMs::MAX,
            has_flushed: false,
            flushed_revision: 0,
            flushed_at: UnixMs::MIN,
            last_notified: UnixMs::MIN,
            group_interval: node.group_interval,
            repeat_interval: node.repeat_interval,
            log: BTreeMap::new(),
            in_flight: HashMap::new(),
            escalation: None,
            acknowledgement: None,
            has_stale_address: false,
        }
    }

    /// Returns the dedup key of the group's messages.
    pub(super) fn dedup_key(&self) -> String {
        Message::dedup_key_of(&self.key)
    }

    /// Returns the time of the next flush or escalation step.
    pub(super) fn next_due(&self) -> UnixMs {
        if self.members.is_empty() {
            return UnixMs::MAX;
        }
        let Some(state) = &self.escalation else {
            return self.next_flush;
        };
        if self.ready_deferred(state).next().is_some() {
            return UnixMs::MIN;
        }
        state.next_at.min(self.next_flush)
    }

    /// Returns the deferred addresses of executed escalation steps that have no notification in flight any more.
    pub(super) fn ready_deferred<'g>(
        &'g self,
        state: &'g EscalationState,
    ) -> impl Iterator<Item = &'g Destination> {
        let deferred = state.deferred.iter();
        deferred.filter(|to| !self.in_flight.contains_key(*to))
    }

    /// Adds a firing alert; returns whether the alert is new in the group. Resolved alerts are not added.
    pub(super) fn join(&mut self, fingerprint: u64, is_firing: bool, now: UnixMs) -> bool {
        if !is_firing {
            return false;
        }
        if self.members.is_empty() {
            // The group opens, or opens again.
            self.has_flushed = false;
            self.next_flush = now;
        }
        self.members.insert(fingerprint)
    }

    /// Schedules the first flush after an alert has joined.
    pub(super) fn schedule(
        &mut self,
        node: &RouteNode,
        starts_at: UnixMs,
        now: UnixMs,
        is_damped: bool,
    ) {
        if self.has_flushed {
            return;
        }
        let group_wait = node.group_wait;
        if self.members.len() == 1 {
            self.next_flush = now + group_wait;
        }
        if starts_at + group_wait < now {
            // The alert is older than the group wait: a restart must not delay it again.
            self.next_flush = now;
        }
        if is_damped {
            let reopens_at = self.last_notified + node.group_interval;
            self.next_flush = self.next_flush.max(reopens_at);
        }
    }

    /// Returns whether an address was notified that this alert fires, or may have been.
    pub(super) fn has_notified_firing(&self, fingerprint: u64) -> bool {
        self.log.values().any(|entry| {
            let lists = [&entry.firing, &entry.maybe_firing];
            lists
                .iter()
                .any(|list| list.binary_search(&fingerprint).is_ok())
        })
    }

    /// Returns whether the acknowledgement covers all of these firing alerts.
    pub(super) fn is_acknowledged(&self, firing: &[u64]) -> bool {
        self.acknowledgement
            .as_ref()
            .is_some_and(|acknowledgement| {
                let acknowledged = &acknowledgement.alerts;
                !firing.is_empty() && firing.iter().all(|alert| acknowledged.contains(alert))
            })
    }

    /// Removes an alert from the acknowledgement, because the alert started again; returns whether the alert was
    /// acknowledged.
    pub(super) fn remove_acknowledgement(&mut self, fingerprint: u64) -> bool {
        let Some(acknowledgement) = &mut self.acknowledgement else {
            return false;
        };
        let was_acknowledged = acknowledgement.alerts.remove(&fingerprint);
        if acknowledgement.alerts.is_empty() {
            self.acknowledgement = None;
        }
        was_acknowledged
    }

    /// Extends the validity of log entries with firing alerts while the group fires, so that the resolved
    /// notification reaches their addresses even after a long time without repeats.
    pub(super) fn extend_log(&mut self, now: UnixMs) {
        let expires_at = self.log_expiry(now);
        for entry in self
            .log
            .values_mut()
            .filter(|entry| entry.has_notified_firing())
        {
            entry.expires_at = entry.expires_at.max(expires_at);
        }
    }

    /// Returns the expiry of a log entry that is written at `now`: Alertmanager keeps entries for two repeat intervals.
    pub(super) fn log_expiry(&self, now: UnixMs) -> UnixMs {
        now + self.repeat_interval.saturating_mul(2)
    }

    /// Removes expired log entries; returns whether the closed group can be removed.
    pub(super) fn expire_log(&mut self, now: UnixMs) -> bool {
        self.log.retain(|_, entry| entry.expires_at > now);
        self.is_closed() && self.log.is_empty()
    }

    /// Moves schedule, log, escalation and acknowledgement by a step of the wall clock.
    pub(super) fn shift(&mut self, by_ms: i64) {
        self.next_flush.shift(by_ms);
        self.flushed_at.shift(by_ms);
        self.last_notified.shift(by_ms);
        for entry in self.log.values_mut() {
            entry.at.shift(by_ms);
            entry.expires_at.shift(by_ms);
        }
        if let Some(state) = &mut self.escalation {
            state.next_at.shift(by_ms);
        }
        if let Some(acknowledgement) = &mut self.acknowledgement {
            shift_ms(&mut acknowledgement.at, by_ms);
        }
    }

    /// Returns whether the group has no alerts and no notifications in flight.
    pub(super) fn is_closed(&self) -> bool {
        self.members.is_empty() && self.in_flight.is_empty()
    }
}
