//! Makes the groups that wait due before a shutdown, and counts the groups that still wait.

use super::{Dispatcher, group::Group};
use crate::{alerting::Alert, runtime::unix_ms::UnixMs};

impl Dispatcher {
    /// Makes every group due that waits to notify its receivers and has an alert that `selects` accepts.
    pub(crate) fn expedite(&mut self, selects: impl Fn(&Alert) -> bool, now: UnixMs) {
        let is_selected = |group: &Group| {
            let mut members = group.members.iter();
            members.any(|id| {
                let entry = self.alerts.get(*id);
                entry.is_some_and(|entry| selects(&entry.alert))
            })
        };
        let waiting = self.groups.iter();
        let waiting = waiting.filter(|(_, group)| self.waits(group, now) && is_selected(group));
        let ids: Vec<_> = waiting.map(|(id, _)| std::sync::Arc::clone(id)).collect();
        for id in ids {
            if let Some(group) = self.groups.get_mut(&id) {
                group.next_flush = group.next_flush.min(now);
            }
        }
    }

    /// Returns the number of groups whose receivers do not know the state of an alert yet.
    pub(crate) fn waiting_groups(&self, now: UnixMs) -> usize {
        let groups = self.groups.values();
        groups.filter(|group| self.waits(group, now)).count()
    }

    /// Returns whether an alert has changed since the last flush of its group, and no receiver was notified of the
    /// change. Alerts that the last flush suppressed do not wait.
    fn waits(&self, group: &Group, now: UnixMs) -> bool {
        group.members.iter().any(|id| {
            self.alerts.get(*id).is_some_and(|entry| {
                let is_notified = group.has_notified_firing(*id);
                (!group.has_flushed || entry.revision > group.flushed_revision)
                    && is_notified == entry.is_resolved_at(now)
            })
        })
    }
}
