//! Decides who is told of which alerts, and when: what Alertmanager does, with acknowledgement and escalation.
//!
//! [`Dispatcher::put`] takes alerts in, [`Dispatcher::tick`] gives out the notifications that are due, and
//! [`Dispatcher::delivered`] hears what became of them. Between the two, an alert passes inhibition, the route's
//! times, silences, its group, and the log of what each address has been told already. Nothing here does I/O or
//! reads a clock; what must survive a crash comes out of [`Dispatcher::take_changes`].
//!
//! Where this differs from Alertmanager:
//! - **One log per address, and a failure that may have arrived counts as told** for the resolve, so that a resolve
//!   reaches everyone who may have been told.
//! - **A silence and an inhibition keep back that an alert fires, not its end**: whoever was told that it fires hears
//!   that it is over. Alertmanager forgets that end, and the incident stays open.
//! - **An acknowledgement** covers the alerts that fire when it is given. It stops repeats and escalation while
//!   every firing alert of the group is covered. An alert that joins later is news: it is told at once, and the
//!   escalation begins anew. An alert that resolves leaves the acknowledgement.
//! - **Damping** ([`Damping`]): a group that opens again waits until its last interval is over, and an alert that
//!   flaps stays firing until it has been quiet for a while. Without damping, Alertmanager's timing holds to the
//!   letter.
//! - **Bounds**: alerts and groups beyond the limits are counted and not taken.

mod acknowledge;
mod alerts;
mod counters;
mod dedup;
mod escalate;
mod flush;
mod group;
mod notification;
mod options;
mod record;
mod rehearsal;
mod restore;
mod settle;
#[cfg(test)]
mod tests;
mod view;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

pub(crate) use self::record::{Change, GroupRecord, Saved};
pub use self::{
    acknowledge::{AcknowledgeError, AcknowledgeTarget, Acknowledgement},
    counters::SuppressedCounts,
    notification::{Delivery, Notification},
    options::{Damping, DispatchOptions},
    view::GroupView,
};
use self::{
    alerts::{AlertTable, Put},
    group::Group,
};
use super::{Alert, Router, Silence, SilenceError, SilenceRequest, Silences, route::Destination};
use crate::query::Labels;

/// How often ended silences, forgotten alerts and old log entries are looked for.
const GARBAGE_INTERVAL_MS: i64 = 60_000;

/// The alerts, their groups, and what everybody has been told.
#[derive(Debug)]
pub struct Dispatcher {
    router: Router,
    options: DispatchOptions,
    alerts: AlertTable,
    groups: HashMap<Arc<str>, Group>,
    /// From route and group labels to the group's id.
    ids: HashMap<(usize, Labels), Arc<str>>,
    silences: Silences,
    counts: SuppressedCounts,
    /// Notifications that are due, whatever the groups' clocks say.
    pending: Vec<Notification>,
    next_id: u64,
    next_garbage: i64,
    /// No group could be forgotten to make room, as far as this round of alerts knows.
    is_full_of_open: bool,
    dirty: Dirty,
}

/// What has changed since it was last written down.
#[derive(Debug, Default)]
struct Dirty {
    alerts: HashSet<u64>,
    groups: HashSet<Arc<str>>,
    silences: BTreeSet<String>,
}

impl Dispatcher {
    /// A dispatcher without alerts.
    #[must_use]
    pub fn new(router: Router, options: DispatchOptions) -> Self {
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
            next_garbage: i64::MIN,
            is_full_of_open: false,
            dirty: Dirty::default(),
        }
    }

    /// Takes alerts in, as Prometheus posts them: those that fire say until when they hold good, and are sent again
    /// before that; those that are over say since when.
    pub fn put(&mut self, alerts: impl IntoIterator<Item = Alert>, now: i64) {
        let mut is_room_made = false;
        self.is_full_of_open = false;
        for alert in alerts {
            if self.alerts.is_full() && !is_room_made {
                is_room_made = true;
                self.forget_alerts(now, 0);
            }
            let (fingerprint, has_begun) = match self.alerts.put(alert, now) {
                Put::Full => {
                    self.counts.alerts_over_limit += 1;
                    continue;
                }
                Put::Unknown => continue,
                Put::Same(fingerprint) => (fingerprint, false),
                Put::Changed(fingerprint) => {
                    self.dirty.alerts.insert(fingerprint);
                    (fingerprint, false)
                }
                Put::Begun(fingerprint) => {
                    self.dirty.alerts.insert(fingerprint);
                    (fingerprint, true)
                }
            };
            self.join_groups(fingerprint, has_begun, now);
        }
        self.counts.flapping += self.alerts.take_held();
    }

    /// What is due at `now`.
    pub fn tick(&mut self, now: i64) -> Vec<Notification> {
        if now >= self.next_garbage {
            self.next_garbage = now.saturating_add(GARBAGE_INTERVAL_MS);
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
            self.run(&due, now);
        }
        std::mem::take(&mut self.pending)
    }

    /// When [`Dispatcher::tick`] has something to do next; `i64::MAX` when nothing is open.
    #[must_use]
    pub fn next_due(&self) -> i64 {
        if !self.pending.is_empty() {
            return i64::MIN;
        }
        let groups = self.groups.values().map(Group::next_due);
        groups.min().unwrap_or(i64::MAX)
    }

    /// The silences.
    pub(crate) fn silences(&self) -> &Silences {
        &self.silences
    }

    /// Creates or changes a silence; returns its id.
    ///
    /// # Errors
    /// As `Silences::set`.
    pub fn set_silence(
        &mut self,
        request: SilenceRequest,
        new_id: String,
        now: i64,
    ) -> Result<String, SilenceError> {
        let old = request.id.clone();
        let id = self.silences.set(request, new_id, now)?;
        self.dirty.silences.extend(old);
        self.dirty.silences.insert(id.clone());
        Ok(id)
    }

    /// Takes in silences that an earlier process had, and that were found late.
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
    /// As `Silences::expire`.
    pub fn expire_silence(&mut self, id: &str, now: i64) -> Result<(), SilenceError> {
        self.silences.expire(id, now)?;
        self.dirty.silences.insert(id.to_owned());
        Ok(())
    }

    /// The silence that keeps an alert with these labels back.
    #[must_use]
    pub fn silence_of(&self, labels: &Labels, now: i64) -> Option<&Silence> {
        self.silences.get(self.silences.silenced_by(labels, now)?)
    }

    /// What was kept back or refused so far, by reason.
    #[must_use]
    pub fn suppressed(&self) -> SuppressedCounts {
        self.counts
    }

    /// The routing in use.
    #[must_use]
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// Puts an alert into the groups of its routes; a new alert may open them.
    fn join_groups(&mut self, fingerprint: u64, has_begun: bool, now: i64) {
        let Some(entry) = self.alerts.get(fingerprint) else {
            return;
        };
        let (labels, starts_at) = (entry.alert.labels.clone(), entry.alert.starts_at);
        let is_firing = !entry.is_resolved_at(now);
        for at in self.router.routes_of(&labels) {
            let key = (at, self.router.node(at).group_labels(&labels));
            let known = self.ids.get(&key).map(Arc::clone);
            let id = match known {
                Some(id) => id,
                // Nobody has been told of a group that does not exist: a resolved alert has no business in it.
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
            let damping = self.options.damping.is_some();
            let Some(group) = self.groups.get_mut(&id) else {
                continue;
            };
            let is_new = group.join(fingerprint, is_firing, now);
            if is_new {
                group.schedule(self.router.node(at), starts_at, now, damping);
            }
            if is_new || (has_begun && group.forget_acknowledgement(fingerprint)) {
                self.dirty.groups.insert(id);
            }
        }
    }

    /// Makes room for a group, where there is none, by forgetting what was told of groups that are over: the oldest
    /// tenth at once, so that a storm of new groups does not look for one each.
    fn has_room_for_group(&mut self) -> bool {
        if self.groups.len() < self.options.max_groups {
            return true;
        }
        if self.is_full_of_open {
            return false;
        }
        let over = self.groups.values().filter(|group| group.is_over());
        let mut over: Vec<(i64, Arc<str>)> = over
            .map(|group| (group.last_notified, Arc::clone(&group.id)))
            .collect();
        over.sort();
        for (_, id) in over.into_iter().take(self.options.max_groups / 10 + 1) {
            self.groups.remove(&id);
            self.dirty.groups.insert(id);
        }
        self.ids.retain(|_, id| self.groups.contains_key(id));
        self.is_full_of_open = self.groups.len() >= self.options.max_groups;
        !self.is_full_of_open
    }

    /// The addresses that a group's messages go to.
    fn destinations_of(&self, group: &Group) -> Vec<Destination> {
        let mut all = Vec::new();
        if let Some(receiver) = self.router.receiver(&group.receiver)
            && group.route.is_some()
        {
            all.extend(receiver.destinations.iter().cloned());
            let told = group.escalation.as_ref().map_or(0, |state| state.highest);
            let steps = receiver.steps.iter().take(told);
            all.extend(steps.flat_map(|step| step.destinations.iter().cloned()));
        }
        let mut seen = HashSet::new();
        all.retain(|destination| seen.insert(destination.clone()));
        all
    }

    fn collect_garbage(&mut self, now: i64) {
        self.dirty
            .silences
            .extend(self.silences.collect_garbage(now));
        let dirty = &mut self.dirty;
        self.groups.retain(|id, group| {
            let keep = !group.forget(now);
            if !keep {
                dirty.groups.insert(Arc::clone(id));
            }
            keep
        });
        self.ids.retain(|_, id| self.groups.contains_key(id));
        self.forget_alerts(now, self.alerts.window_ms());
    }

    /// Forgets alerts that are over, in no group, and older than that.
    fn forget_alerts(&mut self, now: i64, age_ms: i64) {
        let members: HashSet<u64> = self
            .groups
            .values()
            .flat_map(|group| group.members.iter().copied())
            .collect();
        let forgotten = self.alerts.forget(&members, now.saturating_sub(age_ms));
        self.dirty.alerts.extend(forgotten);
    }
}
