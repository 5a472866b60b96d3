//! What a person may see of the groups.

use serde::Serialize;

use super::{Acknowledgement, Dispatcher, group::Group};

/// A group as the API shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct GroupView {
    /// What messages about it give as `groupKey`.
    pub key: String,
    /// What messages about it give as their dedup key.
    pub dedup_key: String,
    /// Who is told.
    pub receiver: String,
    /// Alerts that fire.
    pub firing: usize,
    /// Alerts whose end has not been told yet.
    pub resolved: usize,
    /// How often it was escalated.
    pub escalation_step: usize,
    /// Who has acknowledged.
    pub acknowledgement: Option<Acknowledgement>,
    /// When it is looked at next, in milliseconds since the epoch.
    pub next_flush: i64,
    /// The addresses that know of it.
    pub told: Vec<String>,
}

impl Dispatcher {
    /// The groups that have alerts, by receiver and key.
    #[must_use]
    pub fn groups(&self, now: i64) -> Vec<GroupView> {
        let open = self
            .groups
            .values()
            .filter(|group| !group.members.is_empty());
        let mut views: Vec<GroupView> = open.map(|group| self.view(group, now)).collect();
        views.sort_by(|a, b| (&a.receiver, &a.key).cmp(&(&b.receiver, &b.key)));
        views
    }

    /// How many alerts fire.
    #[must_use]
    pub fn firing_count(&self, now: i64) -> usize {
        let firing = self
            .alerts
            .iter()
            .filter(|(_, entry)| !entry.is_resolved_at(now));
        firing.count()
    }

    fn view(&self, group: &Group, now: i64) -> GroupView {
        let is_firing = |fingerprint: &&u64| {
            let entry = self.alerts.get(**fingerprint);
            entry.is_some_and(|entry| !entry.is_resolved_at(now))
        };
        let firing = group.members.iter().filter(is_firing).count();
        let told = group.log.iter().filter(|(_, entry)| entry.is_told());
        GroupView {
            key: group.key.clone(),
            dedup_key: group.dedup_key(),
            receiver: group.receiver.to_string(),
            firing,
            resolved: group.members.len() - firing,
            escalation_step: group.escalation.as_ref().map_or(0, |state| state.taken),
            acknowledgement: group.acknowledgement.clone(),
            next_flush: group.next_flush,
            told: told
                .map(|(destination, _)| destination.to_string())
                .collect(),
        }
    }
}
