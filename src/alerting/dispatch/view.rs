//! Converts groups to the views that the API returns.

use serde::Serialize;

use super::{Acknowledgement, Dispatcher, group::Group};
use crate::runtime::unix_ms::UnixMs;

/// A group in the form of the API.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct GroupView {
    /// The group key: `groupKey` of the group's messages.
    pub key: String,
    /// The dedup key of the group's messages.
    pub dedup_key: String,
    /// The receiver.
    pub receiver: String,
    /// The number of firing alerts.
    pub firing: usize,
    /// The number of resolved alerts whose resolved notification is still due.
    pub resolved: usize,
    /// The number of escalations so far.
    pub escalation_step: usize,
    /// The acknowledgement of the group's alerts.
    pub acknowledgement: Option<Acknowledgement>,
    /// The time of the next flush, in milliseconds since the epoch.
    pub next_flush: i64,
    /// The addresses that were notified of the group's firing alerts.
    pub notified: Vec<String>,
}

impl Dispatcher {
    /// Returns the groups that have alerts, sorted by receiver and key.
    pub(crate) fn groups(&self, now: UnixMs) -> Vec<GroupView> {
        let open = self
            .groups
            .values()
            .filter(|group| !group.members.is_empty());
        let mut views: Vec<GroupView> = open.map(|group| self.view(group, now)).collect();
        views.sort_by(|a, b| (&a.receiver, &a.key).cmp(&(&b.receiver, &b.key)));
        views
    }

    /// Returns the number of firing alerts.
    pub(crate) fn firing_count(&self, now: UnixMs) -> usize {
        let firing = self
            .alerts
            .iter()
            .filter(|(_, entry)| !entry.is_resolved_at(now));
        firing.count()
    }

    fn view(&self, group: &Group, now: UnixMs) -> GroupView {
        let is_firing = |fingerprint: &&u64| {
            let entry = self.alerts.get(**fingerprint);
            entry.is_some_and(|entry| !entry.is_resolved_at(now))
        };
        let firing = group.members.iter().filter(is_firing).count();
        let notified = group
            .log
            .iter()
            .filter(|(_, entry)| entry.has_notified_firing());
        GroupView {
            key: group.key.clone(),
            dedup_key: group.dedup_key(),
            receiver: group.receiver.to_string(),
            firing,
            resolved: group.members.len() - firing,
            escalation_step: group
                .escalation
                .as_ref()
                .map_or(0, |state| state.steps_executed),
            acknowledgement: group.acknowledgement.clone(),
            next_flush: group.next_flush.as_i64(),
            notified: notified
                .map(|(destination, _)| destination.to_string())
                .collect(),
        }
    }
}
