//! Acknowledges firing alerts: a person takes responsibility, and repeats and escalation stop.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Dispatcher, group::Group};
use crate::{
    alerting::{
        Reason,
        route::{InhibitSources, matches_all},
    },
    query::Matcher,
    runtime::unix_ms::UnixMs,
};

/// The alerts to acknowledge.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AcknowledgeTarget {
    /// The groups with this group key, as in messages.
    Group(String),
    /// The groups with this dedup key, as in messages.
    DedupKey(String),
    /// The matching alerts of all groups.
    Alerts(Vec<Matcher>),
}

/// The acknowledgement of alerts of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Acknowledgement {
    /// The name of the person.
    pub by: String,
    /// The comment of the person.
    pub comment: String,
    /// The time of the acknowledgement, in milliseconds since the epoch.
    pub at: i64,
    /// The fingerprints of the alerts that fired at that time; 16 hexadecimal digits each in JSON.
    #[serde(with = "crate::alerting::alert::hex_set")]
    pub alerts: BTreeSet<u64>,
}

/// The reason why no alert was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcknowledgeError {
    /// No firing alert matches the target.
    #[error("no firing alert matches")]
    NoFiringAlert,
    /// The name of the person is empty.
    #[error("by: must name the person who acknowledges")]
    MissingName,
}

impl Dispatcher {
    /// Acknowledges the matching firing alerts: stops their repeats and their escalation. Resolved notifications are
    /// still sent.
    ///
    /// Returns the keys of the groups. The next tick notifies the channels that have `send_acknowledged` set.
    ///
    /// # Errors
    /// If no firing alert matches, or the name is empty.
    pub(crate) fn acknowledge(
        &mut self,
        target: &AcknowledgeTarget,
        by: &str,
        comment: &str,
        now: UnixMs,
    ) -> Result<Vec<String>, AcknowledgeError> {
        if by.is_empty() {
            return Err(AcknowledgeError::MissingName);
        }
        let mut keys = Vec::new();
        let ids: Vec<_> = self.groups.keys().cloned().collect();
        for id in ids {
            let Some(mut group) = self.groups.remove(&id) else {
                continue;
            };
            let firing = group.members.iter().filter_map(|fingerprint| {
                let entry = self.alerts.get(*fingerprint)?;
                (!entry.is_resolved_at(now)).then_some((*fingerprint, &entry.alert.labels))
            });
            let mut alerts: BTreeSet<u64> = firing
                .filter(|(_, labels)| match target {
                    AcknowledgeTarget::Group(key) => group.key == *key,
                    AcknowledgeTarget::DedupKey(key) => group.dedup_key() == *key,
                    AcknowledgeTarget::Alerts(matchers) => matches_all(matchers, labels),
                })
                .map(|(fingerprint, _)| fingerprint)
                .collect();
            if !alerts.is_empty() {
                keys.push(group.key.clone());
                let earlier = group.acknowledgement.take();
                alerts.extend(earlier.into_iter().flat_map(|earlier| earlier.alerts));
                group.acknowledgement = Some(Acknowledgement {
                    by: by.to_owned(),
                    comment: comment.to_owned(),
                    at: now.as_i64(),
                    alerts,
                });
                self.notify_acknowledgement(&mut group, now);
                self.dirty.groups.insert(id.clone());
            }
            self.groups.insert(id, group);
        }
        keys.sort();
        if keys.is_empty() {
            return Err(AcknowledgeError::NoFiringAlert);
        }
        Ok(keys)
    }

    /// Pauses the escalation of an acknowledged group and notifies the notified addresses of the acknowledgement.
    fn notify_acknowledgement(&mut self, group: &mut Group, now: UnixMs) {
        let Some(acknowledgement) = group.acknowledgement.clone() else {
            return;
        };
        let snapshot = self.snapshot(group, &InhibitSources::default(), now);
        if !group.is_acknowledged(&snapshot.firing) {
            return;
        }
        if let Some(state) = &mut group.escalation {
            (state.next_at, state.is_paused) = (UnixMs::MAX, true);
        }
        let notified: Vec<_> = group
            .log
            .iter()
            .filter(|(destination, entry)| {
                let traits = self.router.channels().get(&*destination.channel);
                entry.has_notified_firing()
                    && traits.is_some_and(|traits| traits.send_acknowledged)
                    && !group.in_flight.contains_key(destination)
            })
            .map(|(destination, _)| destination.clone())
            .collect();
        for destination in notified {
            let reason = Reason::Acknowledged {
                by: acknowledgement.by.clone(),
                comment: acknowledgement.comment.clone(),
            };
            self.enqueue(group, &destination, &snapshot, reason, now);
        }
    }
}
