//! Somebody says: I have seen it, I am on it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Dispatcher, group::Group};
use crate::{
    alerting::{
        Reason,
        route::{InhibitSources, matches_all},
    },
    query::Matcher,
};

/// What is acknowledged.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AcknowledgeTarget {
    /// The groups with this key, as messages give it.
    Group(String),
    /// The groups with this dedup key, as messages give it.
    DedupKey(String),
    /// Every alert that matches, in whichever groups it is.
    Alerts(Vec<Matcher>),
}

/// Who has acknowledged which alerts of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Acknowledgement {
    /// Who it was.
    pub by: String,
    /// What they said.
    pub comment: String,
    /// When, in milliseconds since the epoch.
    pub at: i64,
    /// The fingerprints of the alerts that fired then.
    pub alerts: BTreeSet<u64>,
}

/// Why nothing was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcknowledgeError {
    /// No group with this key, and no alert that matches, fires.
    #[error("nothing that fires matches")]
    NothingFires,
    /// Nobody is named.
    #[error("by: must say who acknowledges")]
    Nobody,
}

impl Dispatcher {
    /// Acknowledges what fires: stops its repeats and its escalation until it is over, not the word that it is.
    ///
    /// Returns the keys of the groups. Channels that want to know of it are told with the next tick.
    ///
    /// # Errors
    /// When nothing that fires matches, or nobody is named.
    pub fn acknowledge(
        &mut self,
        target: &AcknowledgeTarget,
        by: &str,
        comment: &str,
        now: i64,
    ) -> Result<Vec<String>, AcknowledgeError> {
        if by.is_empty() {
            return Err(AcknowledgeError::Nobody);
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
            let alerts: BTreeSet<u64> = firing
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
                let mut given = Acknowledgement {
                    by: by.to_owned(),
                    comment: comment.to_owned(),
                    at: now,
                    alerts,
                };
                given
                    .alerts
                    .extend(earlier.into_iter().flat_map(|given| given.alerts));
                group.acknowledgement = Some(given);
                self.tell_of_acknowledgement(&mut group, now);
                self.dirty.groups.insert(id.clone());
            }
            self.groups.insert(id, group);
        }
        keys.sort();
        if keys.is_empty() {
            return Err(AcknowledgeError::NothingFires);
        }
        Ok(keys)
    }

    fn tell_of_acknowledgement(&mut self, group: &mut Group, now: i64) {
        let Some(given) = group.acknowledgement.clone() else {
            return;
        };
        let speech = self.speech(group, &InhibitSources::default(), now);
        if !group.is_acknowledged(&speech.firing) {
            return;
        }
        if let Some(state) = &mut group.escalation {
            (state.next_at, state.is_paused) = (i64::MAX, true);
        }
        let told: Vec<_> = group
            .log
            .iter()
            .filter(|(destination, entry)| {
                let traits = self.router.channels().get(&*destination.channel);
                entry.is_told()
                    && traits.is_some_and(|traits| traits.send_acknowledged)
                    && !group.in_flight.contains_key(destination)
            })
            .map(|(destination, _)| destination.clone())
            .collect();
        for destination in told {
            let reason = Reason::Acknowledged {
                by: given.by.clone(),
                comment: given.comment.clone(),
            };
            self.emit(group, &destination, &speech, reason, now);
        }
    }
}
