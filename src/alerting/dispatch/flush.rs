//! Looks at the groups that are due, and makes their messages.

use std::{cmp::Ordering, collections::BTreeSet, sync::Arc};

use super::{
    Dispatcher, Notification,
    dedup::{self, LogEntry, Now},
    group::{EscalationState, Group},
};
use crate::{
    alerting::{
        Message, MessageAlert, Reason, Severity, Status,
        outbox::saved,
        route::{Destination, InhibitSources, matches_all, to_ms},
    },
    query::Labels,
};

/// What a group has to say at one moment.
#[derive(Debug)]
pub(super) struct Speech {
    /// What neither a silence, another alert nor the hour keeps back.
    pub(super) alerts: Vec<MessageAlert>,
    pub(super) firing: Vec<u64>,
    pub(super) resolved: Vec<u64>,
    /// Somebody has yet to hear of an end that cannot be told now.
    pub(super) is_holding: bool,
}

impl Dispatcher {
    /// Looks at these groups; their messages are then pending.
    pub(super) fn run(&mut self, due: &[Arc<str>], now: i64) {
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

    fn flush(&mut self, group: &mut Group, sources: &InhibitSources, now: i64) {
        group.next_flush = now.saturating_add(group.interval_ms);
        group.has_flushed = true;
        group.flushed_revision = self.alerts.revision();
        group.flushed_at = now;
        let speech = self.speech(group, sources, now);
        group.is_behind = speech.is_holding;
        self.restart_escalation(group, &speech, now);
        if self.has_firing_members(group, now) {
            group.keep_log(now);
        }
        // As in Alertmanager, a group whose alerts are all kept back says nothing, not that they are over.
        let own = if speech.alerts.is_empty() {
            Vec::new()
        } else {
            self.destinations_of(group)
        };
        let told: Vec<Destination> = group
            .log
            .iter()
            .filter(|(destination, entry)| entry.is_told() && !own.contains(destination))
            .map(|(destination, _)| destination.clone())
            .collect();
        let mut is_told = false;
        for destination in &own {
            is_told |= self.tell(group, destination, &speech, now);
        }
        // Whoever was told by a fallback, an escalation or a route that is gone hears the end, and nothing else.
        if speech.firing.is_empty() && !speech.alerts.is_empty() {
            for destination in &told {
                is_told |= self.tell(group, destination, &speech, now);
            }
        }
        if is_told {
            group.last_notified = now;
            self.begin_escalation(group, &speech, now);
        }
        if !self.has_firing_members(group, now) {
            group.escalation = None;
        }
        self.drop_told_members(group);
    }

    /// The alerts of a group that may be heard, in Alertmanager's order: inhibition, the hour, silences.
    ///
    /// A silence and an inhibition keep back that an alert fires, not that one is over of which somebody was told:
    /// Alertmanager forgets that end, and the incident it opened stays open for ever. It is held only while others
    /// that were told still fire unheard, since a message that speaks of ends alone says that the group is over;
    /// and while the hour forbids every message.
    pub(super) fn speech(&mut self, group: &Group, sources: &InhibitSources, now: i64) -> Speech {
        let router = &self.router;
        let silences = self.silences.active_at(now);
        let is_muted = group
            .route
            .is_some_and(|at| router.is_muted(router.node(at), now));
        let mut alerts = Vec::with_capacity(group.members.len());
        let mut unheard_ends = Vec::new();
        let mut fires_unheard = false;
        for fingerprint in &group.members {
            let Some(entry) = self.alerts.get(*fingerprint) else {
                continue;
            };
            let labels = &entry.alert.labels;
            let is_resolved = entry.is_resolved_at(now);
            let alert = MessageAlert {
                status: if is_resolved {
                    Status::Resolved
                } else {
                    Status::Firing
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
            match (is_resolved, group.was_told_of(*fingerprint)) {
                (true, true) => unheard_ends.push(alert),
                (is_resolved, was_told) => {
                    *count += 1;
                    fires_unheard |= was_told && !is_resolved;
                }
            }
        }
        let is_holding = !unheard_ends.is_empty() && (fires_unheard || is_muted);
        if !is_holding {
            alerts.append(&mut unheard_ends);
        }
        Speech {
            is_holding,
            ..Speech::new(alerts)
        }
    }

    /// Makes the message for one address, if it must be told; returns whether it is.
    fn tell(&mut self, group: &mut Group, to: &Destination, speech: &Speech, now: i64) -> bool {
        if group.in_flight.contains_key(to) {
            group.is_behind = true;
            return false;
        }
        let Some(traits) = self.router.channels().get(&*to.channel) else {
            return false;
        };
        let is_resolve_wanted = traits.send_resolved;
        let state = Now {
            firing: &speech.firing,
            resolved: &speech.resolved,
            repeat_ms: group.repeat_ms,
            at: now,
        };
        let Some(reason) = dedup::reason(group.log.get(to), state, is_resolve_wanted) else {
            return false;
        };
        if reason == Reason::Repeat && group.is_acknowledged(&speech.firing) {
            self.counts.acknowledged += 1;
            return false;
        }
        if !is_resolve_wanted && speech.firing.is_empty() {
            let entry = LogEntry {
                resolved: speech.resolved.clone(),
                at: now,
                expires_at: now.saturating_add(group.repeat_ms.saturating_mul(2)),
                ..LogEntry::default()
            };
            group.log.insert(to.clone(), entry);
            return false;
        }
        self.emit(group, to, speech, reason, now);
        true
    }

    /// Makes a notification pending.
    pub(super) fn emit(
        &mut self,
        group: &mut Group,
        to: &Destination,
        speech: &Speech,
        reason: Reason,
        now: i64,
    ) {
        let traits = self.router.channels().get(&*to.channel);
        let is_resolve_wanted = traits.is_none_or(|traits| traits.send_resolved);
        let alerts: Vec<MessageAlert> = speech
            .alerts
            .iter()
            .filter(|alert| is_resolve_wanted || alert.status == Status::Firing)
            .cloned()
            .collect();
        self.counts.grouping += alerts.len().saturating_sub(1) as u64;
        let mut message = Message::new(&*group.receiver, group.key.clone()).with_alerts(alerts);
        message.group_labels = saved::pairs(&group.labels);
        message.external_url.clone_from(&self.options.external_url);
        message.escalation_step = group.escalation.as_ref().map_or(0, |state| state.taken);
        message.severity = raised(message.severity, message.escalation_step);
        message.reason = reason;
        message.created_at = now;
        let lasts_ms = group.interval_ms.max(to_ms(self.options.delivery_time));
        let notification = Notification {
            id: self.next_id,
            channel: to.channel.to_string(),
            address: to.index,
            created_at: now,
            deadline: now.saturating_add(lasts_ms),
            message,
            group: group.id.to_string(),
            firing: speech.firing.clone(),
            resolved: speech.resolved.clone(),
        };
        self.next_id += 1;
        group.in_flight.insert(to.clone(), notification.id);
        self.pending.push(notification);
    }

    pub(super) fn has_firing_members(&self, group: &Group, now: i64) -> bool {
        group.members.iter().any(|fingerprint| {
            let entry = self.alerts.get(*fingerprint);
            entry.is_some_and(|entry| !entry.is_resolved_at(now))
        })
    }

    /// Lets alerts go that are over, once everybody who must hear it has. An alert that has changed since the last
    /// flush stays: nobody has been told yet.
    pub(super) fn drop_told_members(&mut self, group: &mut Group) {
        if !group.in_flight.is_empty() || group.is_behind {
            return;
        }
        let (alerts, seen_at, seen) = (&self.alerts, group.flushed_at, group.flushed_revision);
        group.members.retain(|fingerprint| {
            let entry = alerts.get(*fingerprint);
            entry.is_some_and(|entry| !entry.is_resolved_at(seen_at) || entry.revision > seen)
        });
        if let Some(given) = &mut group.acknowledgement {
            given.alerts.retain(|alert| group.members.contains(alert));
            if given.alerts.is_empty() {
                group.acknowledgement = None;
            }
        }
        if group.members.is_empty() {
            group.escalation = None;
        }
    }

    /// The first message starts the clock.
    fn begin_escalation(&self, group: &mut Group, speech: &Speech, now: i64) {
        let receiver = self.router.receiver(&group.receiver);
        let Some(step) = receiver.and_then(|receiver| receiver.steps.first()) else {
            return;
        };
        if group.escalation.is_none() && !speech.firing.is_empty() {
            group.escalation = Some(EscalationState {
                taken: 0,
                highest: 0,
                next_at: now.saturating_add(step.delay_ms),
                is_paused: false,
                owed: BTreeSet::new(),
            });
        }
    }
}

impl Speech {
    fn new(mut alerts: Vec<MessageAlert>) -> Self {
        sort(&mut alerts);
        let of = |status: Status| {
            let alerts = alerts.iter().filter(|alert| alert.status == status);
            let mut fingerprints: Vec<u64> = alerts.map(|alert| alert.fingerprint).collect();
            fingerprints.sort_unstable();
            fingerprints
        };
        Self {
            firing: of(Status::Firing),
            resolved: of(Status::Resolved),
            alerts,
            is_holding: false,
        }
    }
}

/// The severity after so many escalations.
pub(super) fn raised(severity: Severity, times: usize) -> Severity {
    (0..times.min(Severity::ALL.len())).fold(severity, |severity, _| severity.raised())
}

/// Alertmanager's order: by `job`, by `instance`, by all labels; whoever has the label comes first.
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
            .then_with(|| compare(&left.alert.labels, &right.alert.labels))
    });
    alerts.extend(keyed.into_iter().map(|(_, alert)| alert));
}

/// The order of Prometheus's `LabelSet.Before`: fewer labels first; then by the first label that differs, where a
/// set without the label comes first.
fn compare(a: &Labels, b: &Labels) -> Ordering {
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
