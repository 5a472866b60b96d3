//! Selects the receivers of each alert and the time of each notification: Alertmanager's dispatcher, with
//! acknowledgement and escalation.
//!
//! [`Dispatcher::put`] takes alerts, [`Dispatcher::tick`] returns the notifications that are due, and
//! [`Dispatcher::record_delivery`] takes the result of each notification. Between these calls, an alert passes
//! inhibition, the time intervals of its route, silences, its group, and the notification log of each address. The
//! dispatcher does no I/O and reads no clock. [`Dispatcher::take_changes`] returns the state that must survive a
//! crash.
//!
//! Differences from Alertmanager:
//! - **Notification log**: the log has one entry per group and address. A failed delivery that may have arrived counts
//!   as a firing notification when the alert resolves, so that the resolved notification reaches every receiver of a
//!   firing notification.
//! - **Silences and inhibition** suppress firing alerts, not resolved alerts: an address that was notified of a firing
//!   alert is also notified when the alert resolves. Alertmanager drops the resolved notification, and the incident
//!   stays open.
//! - **An acknowledgement** covers the alerts that fire when the acknowledgement is made. Repeats and escalation stop
//!   while the acknowledgement covers every firing alert of the group. A new alert in the group is notified at once
//!   and restarts the escalation. A resolved alert leaves the acknowledgement.
//! - **Damping** ([`Damping`](options::Damping)): a reopened group waits for the end of its last group interval, and a flapping alert
//!   keeps firing until it has been resolved for a while. Without damping, the timing is Alertmanager's.
//! - **Limits**: alerts and groups above the limits are counted and dropped.

mod acknowledge;
mod alerts;
mod counters;
mod dedup;
mod delivery_result;
mod escalate;
mod escalation_preview;
mod flush;
mod group;
mod notification;
mod options;
mod persist;
mod restore;
mod shutdown;
#[cfg(test)]
mod tests;
mod view;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

pub use self::{
    acknowledge::{AcknowledgeError, AcknowledgeTarget, Acknowledgement},
    options::DispatchOptions,
    view::GroupView,
};
use self::{
    alerts::{AlertTable, PutOutcome},
    group::Group,
};
pub(crate) use self::{
    counters::SuppressedCounts,
    notification::{Delivery, Notification},
    persist::{Change, GroupRecord, PersistedState},
};
use super::{Alert, Router, Silence, SilenceError, SilenceRequest, Silences, route::Destination};
use crate::{query::Labels, runtime::unix_ms::UnixMs};

/// The time between two removals of expired silences, resolved alerts and old log entries.
const GARBAGE_INTERVAL: Duration = Duration::from_mins(1);

/// The alerts, their groups, and the notification log of each group.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    router: Router,
    options: DispatchOptions,
    alerts: AlertTable,
    groups: HashMap<Arc<str>, Group>,
    /// Maps route and group labels to the id of the group.
    ids: HashMap<(usize, Labels), Arc<str>>,
    silences: Silences,
    counts: SuppressedCounts,
    /// Notifications that the next tick returns regardless of the groups' schedules.
    pending: Vec<Notification>,
    next_id: u64,
    next_garbage: UnixMs,
    /// True if the current batch of alerts found every group open, so that no group can be removed to make room.
    are_all_groups_open: bool,
    dirty: Dirty,
}

/// The ids of the state that has changed since the last [`Dispatcher::take_changes`].
#[derive(Debug, Default)]
struct Dirty {
    alerts: HashSet<u64>,
    groups: HashSet<Arc<str>>,
    silences: BTreeSet<String>,
}

impl Dispatcher {
    /// Creates a dispatcher without alerts.
    pub(crate) fn new(router: Router, options: DispatchOptions) -> Self {
        Self {
            router,
            alerts: AlertTable::new(&options),
            options,
            groups: HashMap::new(),
            ids: HashMap::new(),
            silences: Silences::default(),
            counts: SuppressedCounts::default(),
            pending: Vec::new(),
            next_id: 1,
            next_garbage: UnixMs::MIN,
            are_all_groups_open: false,
            dirty: Dirty::default(),
        }
    }

    /// Merges alerts into the known alerts, as Alertmanager does with the alerts that Prometheus posts.
    ///
    /// The end of a firing alert lies in the future; the alert counts as resolved then unless it is put again. The
    /// end of a resolved alert is the time at which it was resolved.
    pub(crate) fn put(&mut self, alerts: impl IntoIterator<Item = Alert>, now: UnixMs) {
        let mut has_removed_alerts = false;
        self.are_all_groups_open = false;
        for alert in alerts {
            if self.alerts.is_full() && !has_removed_alerts {
                has_removed_alerts = true;
                self.remove_resolved_alerts(now, Duration::ZERO);
            }
            let (fingerprint, has_started) = match self.alerts.put(alert, now) {
                PutOutcome::LimitReached => {
                    self.counts.alerts_over_limit += 1;
                    continue;
                }
                PutOutcome::UnknownResolved => continue,
                PutOutcome::Unchanged(fingerprint) => (fingerprint, false),
                PutOutcome::Changed(fingerprint) => {
                    self.dirty.alerts.insert(fingerprint);
                    (fingerprint, false)
                }
                PutOutcome::Started(fingerprint) => {
                    self.dirty.alerts.insert(fingerprint);
                    (fingerprint, true)
                }
            };
            self.join_groups(fingerprint, has_started, now);
        }
        self.counts.flapping += self.alerts.take_held_count();
    }

    /// Returns the notifications that are due at `now`.
    pub(crate) fn tick(&mut self, now: UnixMs) -> Vec<Notification> {
        if now >= self.next_garbage {
            self.next_garbage = now + GARBAGE_INTERVAL;
            self.collect_garbage(now);
        }
        let mut due: Vec<Arc<str>> = self
            .groups
            .iter()
            .filter(|(_, group)| group.next_due() <= now)
            .map(|(id, _)| Arc::clone(id))
            .collect();
        if !due.is_empty() {
            due.sort();
            self.process_groups(&due, now);
        }
        std::mem::take(&mut self.pending)
    }

    /// Returns the time at which [`Dispatcher::tick`] must be called next; [`UnixMs::MAX`] if no group is open.
    pub(crate) fn next_due(&self) -> UnixMs {
        if !self.pending.is_empty() {
            return UnixMs::MIN;
        }
        let groups = self.groups.values().map(Group::next_due);
        groups.min().unwrap_or(UnixMs::MAX)
    }

    /// Moves alerts, groups and pending notifications by a step of the wall clock, before which the time was `before`.
    /// Silences keep their ends, and time intervals their times of day: both are times of the wall clock.
    pub(crate) fn shift(&mut self, by_ms: i64, before: UnixMs) {
        self.silences.shift(by_ms, before);
        self.alerts.shift(by_ms);
        self.groups
            .values_mut()
            .for_each(|group| group.shift(by_ms));
        self.pending
            .iter_mut()
            .for_each(|pending| pending.shift(by_ms));
        self.next_garbage.shift(by_ms);
        self.mark_all_changed();
    }

    /// Returns the silences.
    pub(crate) fn silences(&self) -> &Silences {
        &self.silences
    }

    /// Creates or changes a silence; returns its id.
    ///
    /// # Errors
    /// The errors of [`Silences::set`].
    pub(crate) fn set_silence(
        &mut self,
        request: SilenceRequest,
        new_id: String,
        now: UnixMs,
    ) -> Result<String, SilenceError> {
        let old = request.id.clone();
        let id = self.silences.set(request, new_id, now)?;
        self.dirty.silences.extend(old);
        self.dirty.silences.insert(id.clone());
        Ok(id)
    }

    /// Adds silences of an earlier process whose store became readable after the start.
    pub(crate) fn adopt_silences(&mut self, silences: Vec<Silence>) {
        for silence in silences {
            let id = silence.id.clone();
            if self.silences.insert_if_absent(silence) {
                self.dirty.silences.insert(id);
            }
        }
    }

    /// Ends a silence.
    ///
    /// # Errors
    /// The errors of [`Silences::expire`].
    pub(crate) fn expire_silence(&mut self, id: &str, now: UnixMs) -> Result<(), SilenceError> {
        self.silences.expire(id, now)?;
        self.dirty.silences.insert(id.to_owned());
        Ok(())
    }

    /// Returns an active silence that matches these labels.
    pub(crate) fn silence_of(&self, labels: &Labels, now: UnixMs) -> Option<&Silence> {
        self.silences.get(self.silences.silenced_by(labels, now)?)
    }

    /// Returns the counts of suppressed and dropped alerts, by reason.
    pub(crate) fn suppressed(&self) -> SuppressedCounts {
        self.counts
    }

    /// Adds an alert to the groups of its routes; a firing alert opens groups that do not exist.
    fn join_groups(&mut self, fingerprint: u64, has_started: bool, now: UnixMs) {
        let Some(entry) = self.alerts.get(fingerprint) else {
            return;
        };
        let labels = entry.alert.labels.clone();
        let starts_at = UnixMs::from_i64(entry.alert.starts_at);
        let is_firing = !entry.is_resolved_at(now);
        for at in self.router.routes_of(&labels) {
            let key = (at, self.router.node(at).group_labels(&labels));
            let known = self.ids.get(&key).map(Arc::clone);
            let id = match known {
                Some(id) => id,
                // No receiver was notified of a group that does not exist, so a resolved alert needs no group.
                None if !is_firing => continue,
                None if !self.has_room_for_group() => {
                    self.counts.groups_over_limit += 1;
                    continue;
                }
                None => {
                    let group = Group::new(at, self.router.node(at), &key.1);
                    let id = Arc::clone(&group.id);
                    self.groups.entry(Arc::clone(&id)).or_insert(group);
                    self.ids.insert(key, Arc::clone(&id));
                    id
                }
            };
            let is_damped = self.options.damping.is_some();
            let Some(group) = self.groups.get_mut(&id) else {
                continue;
            };
            let is_new = group.join(fingerprint, is_firing, now);
            if is_new {
                group.schedule(self.router.node(at), starts_at, now, is_damped);
            }
            if is_new || (has_started && group.remove_acknowledgement(fingerprint)) {
                self.dirty.groups.insert(id);
            }
        }
    }

    /// Returns whether a new group fits below the limit. A full table first loses the oldest closed groups: a tenth of
    /// the limit at once, so that a storm of new groups does not search the table for each of them.
    fn has_room_for_group(&mut self) -> bool {
        if self.groups.len() < self.options.max_groups {
            return true;
        }
        if self.are_all_groups_open {
            return false;
        }
        let closed = self.groups.values().filter(|group| group.is_closed());
        let mut closed: Vec<(UnixMs, Arc<str>)> = closed
            .map(|group| (group.last_notified, Arc::clone(&group.id)))
            .collect();
        closed.sort();
        for (_, id) in closed.into_iter().take(self.options.max_groups / 10 + 1) {
            self.groups.remove(&id);
            self.dirty.groups.insert(id);
        }
        self.ids.retain(|_, id| self.groups.contains_key(id));
        self.are_all_groups_open = self.groups.len() >= self.options.max_groups;
        !self.are_all_groups_open
    }

    /// Returns the addresses of a group's receiver, including the addresses of its executed escalation steps.
    fn destinations_of(&self, group: &Group) -> Vec<Destination> {
        let mut all = Vec::new();
        if let Some(receiver) = self.router.receiver(&group.receiver)
            && group.route.is_some()
        {
            all.extend(receiver.destinations.iter().cloned());
            let notified = group
                .escalation
                .as_ref()
                .map_or(0, |state| state.steps_notified);
            let steps = receiver.steps.iter().take(notified);
            all.extend(steps.flat_map(|step| step.destinations.iter().cloned()));
        }
        let mut unique = HashSet::new();
        all.retain(|destination| unique.insert(destination.clone()));
        all
    }

    fn collect_garbage(&mut self, now: UnixMs) {
        self.dirty
            .silences
            .extend(self.silences.collect_garbage(now));
        let dirty = &mut self.dirty;
        self.groups.retain(|id, group| {
            let keep = !group.expire_log(now);
            if !keep {
                dirty.groups.insert(Arc::clone(id));
            }
            keep
        });
        self.ids.retain(|_, id| self.groups.contains_key(id));
        self.remove_resolved_alerts(now, self.alerts.flapping_window());
    }

    /// Removes alerts that were resolved longer than `age` ago and belong to no group.
    fn remove_resolved_alerts(&mut self, now: UnixMs, age: Duration) {
        let members: HashSet<u64> = self
            .groups
            .values()
            .flat_map(|group| group.members.iter().copied())
            .collect();
        let removed = self.alerts.remove_resolved(&members, now - age);
        self.dirty.alerts.extend(removed);
    }
}
