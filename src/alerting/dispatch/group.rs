//! A group of alerts, its clock, and what each address has been told of it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{acknowledge::Acknowledgement, dedup::LogEntry};
use crate::{
    alerting::{
        Message,
        route::{Destination, RouteNode},
    },
    query::Labels,
};

/// Alerts of one route with the same group labels.
#[derive(Debug)]
pub(super) struct Group {
    /// Receiver and group key: stays the same across restarts.
    pub(super) id: Arc<str>,
    pub(super) receiver: Arc<str>,
    /// `None` once the configuration has no such route any more.
    pub(super) route: Option<usize>,
    pub(super) route_key: String,
    /// What Alertmanager calls it.
    pub(super) key: String,
    pub(super) labels: Labels,
    pub(super) members: HashSet<u64>,
    pub(super) next_flush: i64,
    pub(super) has_flushed: bool,
    /// Changes up to here were seen by the last flush.
    pub(super) flushed_revision: u64,
    pub(super) flushed_at: i64,
    pub(super) last_notified: i64,
    pub(super) interval_ms: i64,
    pub(super) repeat_ms: i64,
    pub(super) log: BTreeMap<Destination, LogEntry>,
    /// The notification that each address has under way.
    pub(super) in_flight: HashMap<Destination, u64>,
    pub(super) escalation: Option<EscalationState>,
    pub(super) acknowledgement: Option<Acknowledgement>,
    /// Some address does not know what the last flush saw: a message was under way, or has failed. Until the next
    /// flush no alert leaves, or its end would be lost.
    pub(super) is_behind: bool,
}

/// How far a group's escalation has gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EscalationState {
    /// Steps taken since it began.
    pub(super) taken: usize,
    /// Steps whose channels have been told: they hear on.
    pub(super) highest: usize,
    pub(super) next_at: i64,
    /// Somebody has acknowledged.
    pub(super) is_paused: bool,
    /// Addresses of a step that were busy with another message when it was taken: they hear of it after that.
    #[serde(default)]
    pub(super) owed: BTreeSet<Destination>,
}

impl Group {
    pub(super) fn new(route: usize, node: &RouteNode, labels: &Labels) -> Self {
        let key = format!("{}:{labels}", node.key);
        Self {
            // A unit separator: no receiver's name has one.
            id: format!("{}\u{1f}{key}", node.receiver).into(),
            receiver: Arc::clone(&node.receiver),
            route: Some(route),
            route_key: node.key.clone(),
            key,
            labels: labels.clone(),
            members: HashSet::new(),
            next_flush: i64::MAX,
            has_flushed: false,
            flushed_revision: 0,
            flushed_at: i64::MIN,
            last_notified: i64::MIN,
            interval_ms: node.group_interval_ms,
            repeat_ms: node.repeat_interval_ms,
            log: BTreeMap::new(),
            in_flight: HashMap::new(),
            escalation: None,
            acknowledgement: None,
            is_behind: false,
        }
    }

    /// What messages about it give as their dedup key.
    pub(super) fn dedup_key(&self) -> String {
        Message::dedup_key_of(&self.key)
    }

    /// When it must be looked at.
    pub(super) fn next_due(&self) -> i64 {
        if self.members.is_empty() {
            return i64::MAX;
        }
        let Some(state) = &self.escalation else {
            return self.next_flush;
        };
        if self.free_of_owed(state).next().is_some() {
            return i64::MIN;
        }
        state.next_at.min(self.next_flush)
    }

    /// Addresses that a step of the escalation still owes its message, and that are no longer busy.
    pub(super) fn free_of_owed<'g>(
        &'g self,
        state: &'g EscalationState,
    ) -> impl Iterator<Item = &'g Destination> {
        let owed = state.owed.iter();
        owed.filter(|to| !self.in_flight.contains_key(*to))
    }

    /// Takes an alert in; returns whether it is new here. One that is over does not enter.
    pub(super) fn join(&mut self, fingerprint: u64, is_firing: bool, now: i64) -> bool {
        if !is_firing {
            return false;
        }
        if self.members.is_empty() {
            // It opens, perhaps again.
            self.has_flushed = false;
            self.next_flush = now;
        }
        self.members.insert(fingerprint)
    }

    /// Sets the clock for an alert that has just joined.
    pub(super) fn schedule(&mut self, node: &RouteNode, starts_at: i64, now: i64, is_damped: bool) {
        if self.has_flushed {
            return;
        }
        let waited = starts_at.saturating_add(node.group_wait_ms) < now;
        if self.members.len() == 1 {
            self.next_flush = now.saturating_add(node.group_wait_ms);
        }
        if waited {
            // The alert is older than the wait: whoever restarts must not wait again.
            self.next_flush = now;
        }
        if is_damped {
            let reopens_at = self.last_notified.saturating_add(node.group_interval_ms);
            self.next_flush = self.next_flush.max(reopens_at);
        }
    }

    /// Whether anybody was told, or may have been, that this alert fires.
    pub(super) fn was_told_of(&self, fingerprint: u64) -> bool {
        self.log.values().any(|entry| {
            let lists = [&entry.firing, &entry.maybe];
            lists
                .iter()
                .any(|list| list.binary_search(&fingerprint).is_ok())
        })
    }

    /// Whether somebody has acknowledged all that fires.
    pub(super) fn is_acknowledged(&self, firing: &[u64]) -> bool {
        self.acknowledgement.as_ref().is_some_and(|given| {
            !firing.is_empty() && firing.iter().all(|alert| given.alerts.contains(alert))
        })
    }

    /// An alert that begins again is not the one that was acknowledged. Returns whether it had been.
    pub(super) fn forget_acknowledgement(&mut self, fingerprint: u64) -> bool {
        let Some(given) = &mut self.acknowledgement else {
            return false;
        };
        let had = given.alerts.remove(&fingerprint);
        if given.alerts.is_empty() {
            self.acknowledgement = None;
        }
        had
    }

    /// What was told of alerts that still fire is not forgotten, however long nobody repeats it: they will be over
    /// one day, and whoever knows of them must hear that.
    pub(super) fn keep_log(&mut self, now: i64) {
        let expires_at = now.saturating_add(self.repeat_ms.saturating_mul(2));
        for entry in self.log.values_mut().filter(|entry| entry.is_told()) {
            entry.expires_at = entry.expires_at.max(expires_at);
        }
    }

    /// Forgets what was told long ago; returns whether nothing is left.
    pub(super) fn forget(&mut self, now: i64) -> bool {
        self.log.retain(|_, entry| entry.expires_at > now);
        self.is_over() && self.log.is_empty()
    }

    /// Whether nothing fires, and nothing is under way.
    pub(super) fn is_over(&self) -> bool {
        self.members.is_empty() && self.in_flight.is_empty()
    }
}
