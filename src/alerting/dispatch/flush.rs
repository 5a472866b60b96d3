//! Flushes the groups that are due: takes a snapshot of their alerts and creates the notifications.

use std::{cmp::Ordering, collections::BTreeSet, sync::Arc};

use super::{
    Dispatcher, Notification,
    dedup::{GroupState, LogEntry, notification_reason},
    group::{EscalationState, Group},
};
use crate::{
    alerting::{
        Message, MessageAlert, MessageStatus, Reason, Severity,
        alert::label_map,
        route::{Destination, InhibitSources, matches_all},
    },
    query::Labels,
    runtime::unix_ms::UnixMs,
};

/// The alerts of a group that may be sent at a point in time.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// The alerts that inhibition, mute intervals and silences do not suppress.
    pub(super) alerts: Vec<MessageAlert>,
    pub(super) firing: Vec<u64>,
    pub(super) resolved: Vec<u64>,
    /// True if resolved alerts with a due resolved notification are held back for now.
    pub(super) has_held_resolved: bool,
}

impl Dispatcher {
    /// Flushes and escalates these groups; their notifications become pending.
    pub(super) fn process_groups(&mut self, due: &[Arc<str>], now: UnixMs) {
        let rules = &self.router.inhibit_rules;
        let firing = self
            .alerts
            .iter()
            .filter(|(_, entry)| !entry.is_resolved_at(now));
        let sources = InhibitSources::new(rules, firing.map(|(_, entry)| &entry.alert.labels));
        for id in due {
            let Some(mut group) = self.groups.remove(id) else {
                continue;
            };
            if group.next_flush <= now {
                self.flush(&mut group, &sources, now);
            }
            self.escalate(&mut group, &sources, now);
            self.dirty.groups.insert(Arc::clone(id));
            self.groups.insert(Arc::clone(id), group);
        }
    }

    fn flush(&mut self, group: &mut Group, sources: &InhibitSources, now: UnixMs) {
        group.next_flush = now + group.group_interval;
        group.has_flushed = true;
        group.flushed_revision = self.alerts.revision();
        group.flushed_at = now;
        let snapshot = self.snapshot(group, sources, now);
        group.has_stale_address = snapshot.has_held_resolved;
        self.restart_escalation(group, &snapshot, now);
        if self.has_firing_members(group, now) {
            group.extend_log(now);
        }
        // As in Alertmanager, a group whose alerts are all suppressed sends no message, and no resolved notification.
        let current = if snapshot.alerts.is_empty() {
            Vec::new()
        } else {
            self.destinations_of(group)
        };
        let former: Vec<Destination> = group
            .log
            .iter()
            .filter(|(destination, entry)| {
                entry.has_notified_firing() && !current.contains(destination)
            })
            .map(|(destination, _)| destination.clone())
            .collect();
        let mut is_notified = false;
        for destination in &current {
            is_notified |= self.notify_if_due(group, destination, &snapshot, now);
        }
        // The addresses of a fallback, an escalation or a removed route receive the final resolved notification only.
        if snapshot.firing.is_empty() && !snapshot.alerts.is_empty() {
            for destination in &former {
                is_notified |= self.notify_if_due(group, destination, &snapshot, now);
            }
        }
        if is_notified {
            group.last_notified = now;
            self.start_escalation(group, &snapshot, now);
        }
        if !self.has_firing_members(group, now) {
            group.escalation = None;
        }
        self.remove_notified_members(group);
    }

    /// Returns the alerts of a group that may be sent. The checks run in Alertmanager's order: inhibition, mute
    /// intervals, silences.
    ///
    /// A silence and an inhibition suppress firing alerts, but not a resolved alert whose address was notified that it
    /// fires: Alertmanager drops the resolved notification, and the incident stays open. Such a resolved alert is held
    /// back in two cases only: while other notified alerts of the group fire but are suppressed, because a message with
    /// resolved alerts only would mean that the whole group is resolved; and while a mute interval suppresses every
    /// message.
    pub(super) fn snapshot(
        &mut self,
        group: &Group,
        sources: &InhibitSources,
        now: UnixMs,
    ) -> Snapshot {
        let router = &self.router;
        let silences = self.silences.active_at(now);
        let is_muted = group
            .route
            .is_some_and(|at| router.is_muted(router.node(at), now));
        let mut alerts = Vec::with_capacity(group.members.len());
        let mut suppressed_resolved = Vec::new();
        let mut has_suppressed_firing = false;
        for fingerprint in &group.members {
            let Some(entry) = self.alerts.get(*fingerprint) else {
                continue;
            };
            let labels = &entry.alert.labels;
            let is_resolved = entry.is_resolved_at(now);
            let alert = MessageAlert {
                status: if is_resolved {
                    MessageStatus::Resolved
                } else {
                    MessageStatus::Firing
                },
                alert: Arc::clone(&entry.alert),
                fingerprint: *fingerprint,
            };
            let count = if sources.is_inhibited(&router.inhibit_rules, labels) {
                &mut self.counts.inhibition
            } else if is_muted {
                &mut self.counts.mute_interval
            } else if silences
                .iter()
                .any(|matchers| matches_all(matchers, labels))
            {
                &mut self.counts.silence
            } else {
                alerts.push(alert);
                continue;
            };
            match (is_resolved, group.has_notified_firing(*fingerprint)) {
                (true, true) => suppressed_resolved.push(alert),
                (is_resolved, was_notified) => {
                    *count += 1;
                    has_suppressed_firing |= was_notified && !is_resolved;
                }
            }
        }
        let has_held_resolved =
            !suppressed_resolved.is_empty() && (has_suppressed_firing || is_muted);
        if !has_held_resolved {
            alerts.append(&mut suppressed_resolved);
        }
        Snapshot {
            has_held_resolved,
            ..Snapshot::new(alerts)
        }
    }

    /// Creates a notification for one address if the log requires it; returns whether it did.
    fn notify_if_due(
        &mut self,
        group: &mut Group,
        to: &Destination,
        snapshot: &Snapshot,
        now: UnixMs,
    ) -> bool {
        if group.in_flight.contains_key(to) {
            group.has_stale_address = true;
            return false;
        }
        let Some(traits) = self.router.channels().get(&*to.channel) else {
            return false;
        };
        let send_resolved = traits.send_resolved;
        let state = GroupState {
            firing: &snapshot.firing,
            resolved: &snapshot.resolved,
            repeat_interval: group.repeat_interval,
            at: now,
        };
        let Some(reason) = notification_reason(group.log.get(to), state, send_resolved) else {
            return false;
        };
        if reason == Reason::Repeat && group.is_acknowledged(&snapshot.firing) {
            self.counts.acknowledged += 1;
            return false;
        }
        if !send_resolved && snapshot.firing.is_empty() {
            let entry = LogEntry {
                resolved: snapshot.resolved.clone(),
                at: now,
                expires_at: group.log_expiry(now),
                ..LogEntry::default()
            };
            group.log.insert(to.clone(), entry);
            return false;
        }
        self.enqueue(group, to, snapshot, reason, now);
        true
    }

    /// Creates a pending notification for one address.
    pub(super) fn enqueue(
        &mut self,
        group: &mut Group,
        to: &Destination,
        snapshot: &Snapshot,
        reason: Reason,
        now: UnixMs,
    ) {
        let traits = self.router.channels().get(&*to.channel);
        let send_resolved = traits.is_none_or(|traits| traits.send_resolved);
        let alerts: Vec<MessageAlert> = snapshot
            .alerts
            .iter()
            .filter(|alert| send_resolved || alert.status == MessageStatus::Firing)
            .cloned()
            .collect();
        self.counts.grouping += alerts.len().saturating_sub(1) as u64;
        let mut message = Message::new(&*group.receiver, group.key.clone()).with_alerts(alerts);
        message.group_labels = label_map(&group.labels);
        message.external_url.clone_from(&self.options.external_url);
        message.escalation_step = group
            .escalation
            .as_ref()
            .map_or(0, |state| state.steps_executed);
        message.severity = escalated_severity(message.severity, message.escalation_step);
        message.reason = reason;
        message.created_at = now.as_i64();
        let notification = Notification {
            id: self.next_id,
            channel: to.channel.to_string(),
            address: to.index,
            created_at: now,
            deadline: self.deadline(group, now),
            message,
            group: group.id.to_string(),
            firing: snapshot.firing.clone(),
            resolved: snapshot.resolved.clone(),
        };
        self.next_id += 1;
        group.in_flight.insert(to.clone(), notification.id);
        self.pending.push(notification);
    }

    /// Returns whether an alert of the group fires.
    pub(super) fn has_firing_members(&self, group: &Group, now: UnixMs) -> bool {
        group.members.iter().any(|fingerprint| {
            let entry = self.alerts.get(*fingerprint);
            entry.is_some_and(|entry| !entry.is_resolved_at(now))
        })
    }

    /// Removes resolved alerts from the group after every address was notified. An alert with a state change since the
    /// last flush stays, because no address was notified of the change yet.
    pub(super) fn remove_notified_members(&mut self, group: &mut Group) {
        if !group.in_flight.is_empty() || group.has_stale_address {
            return;
        }
        let (alerts, flushed_at, revision) =
            (&self.alerts, group.flushed_at, group.flushed_revision);
        group.members.retain(|fingerprint| {
            let entry = alerts.get(*fingerprint);
            entry
                .is_some_and(|entry| !entry.is_resolved_at(flushed_at) || entry.revision > revision)
        });
        if let Some(acknowledgement) = &mut group.acknowledgement {
            acknowledgement
                .alerts
                .retain(|alert| group.members.contains(alert));
            if acknowledgement.alerts.is_empty() {
                group.acknowledgement = None;
            }
        }
        if group.members.is_empty() {
            group.escalation = None;
        }
    }

    /// Schedules the first escalation step after the first message.
    fn start_escalation(&self, group: &mut Group, snapshot: &Snapshot, now: UnixMs) {
        let receiver = self.router.receiver(&group.receiver);
        let Some(step) = receiver.and_then(|receiver| receiver.steps.first()) else {
            return;
        };
        if group.escalation.is_none() && !snapshot.firing.is_empty() {
            group.escalation = Some(EscalationState {
                steps_executed: 0,
                steps_notified: 0,
                next_at: now + step.delay,
                is_paused: false,
                deferred: BTreeSet::new(),
            });
        }
    }
}

impl Snapshot {
    fn new(mut alerts: Vec<MessageAlert>) -> Self {
        sort(&mut alerts);
        let fingerprints_of = |status: MessageStatus| {
            let alerts = alerts.iter().filter(|alert| alert.status == status);
            let mut fingerprints: Vec<u64> = alerts.map(|alert| alert.fingerprint).collect();
            fingerprints.sort_unstable();
            fingerprints
        };
        Self {
            firing: fingerprints_of(MessageStatus::Firing),
            resolved: fingerprints_of(MessageStatus::Resolved),
            alerts,
            has_held_resolved: false,
        }
    }
}

/// Raises a severity by one level per escalation step.
pub(super) fn escalated_severity(severity: Severity, steps: usize) -> Severity {
    (0..steps.min(Severity::ALL.len())).fold(severity, |severity, _| severity.raised())
}

/// Sorts alerts in Alertmanager's order: by `job`, by `instance`, by all labels. Alerts without `job` or `instance` come
/// after alerts with that label.
fn sort(alerts: &mut Vec<MessageAlert>) {
    let mut keyed: Vec<_> = std::mem::take(alerts)
        .into_iter()
        .map(|alert| {
            let value = |name: &str| {
                alert
                    .alert
                    .labels
                    .label(name)
                    .map(|l| Arc::clone(l.shared_value()))
            };
            let (job, instance) = (value("job"), value("instance"));
            ((job.is_none(), job, instance.is_none(), instance), alert)
        })
        .collect();
    keyed.sort_by(|(a, left), (b, right)| {
        a.cmp(b)
            .then_with(|| compare_labels(&left.alert.labels, &right.alert.labels))
    });
    alerts.extend(keyed.into_iter().map(|(_, alert)| alert));
}

/// Compares label sets as Prometheus's `LabelSet.Before` does: the smaller set comes first; then the first different
/// label decides, and a set without that label comes first.
fn compare_labels(a: &Labels, b: &Labels) -> Ordering {
    a.iter().count().cmp(&b.iter().count()).then_with(|| {
        a.iter()
            .zip(b.iter())
            .map(|(a, b)| {
                b.name()
                    .cmp(a.name())
                    .then_with(|| a.value().cmp(b.value()))
            })
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    })
}
