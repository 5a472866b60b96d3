//! Records the results of deliveries in the notification log.

use super::{
    Delivery, Dispatcher, Notification,
    dedup::{GroupState, LogEntry, notification_reason},
    group::Group,
};
use crate::{alerting::Reason, runtime::unix_ms::UnixMs};

impl Dispatcher {
    /// Records the result of a notification.
    ///
    /// An accepted notification replaces the log entry of its address. A failed notification leaves the log entry, so
    /// that the next flush notifies the address again with the state of that time; the fallback of the channel is
    /// notified at once.
    pub(crate) fn record_delivery(
        &mut self,
        notification: &Notification,
        delivery: Delivery,
        now: UnixMs,
    ) {
        let to = notification.destination();
        let Some(mut group) = self.groups.remove(notification.group.as_str()) else {
            return;
        };
        let id = group.id.clone();
        if group.in_flight.get(&to) == Some(&notification.id) {
            group.in_flight.remove(&to);
            let expires_at = group.log_expiry(now);
            match delivery {
                Delivery::Accepted => {
                    let entry = LogEntry {
                        firing: notification.firing.clone(),
                        resolved: notification.resolved.clone(),
                        maybe_firing: Vec::new(),
                        at: now,
                        expires_at,
                    };
                    group.log.insert(to, entry);
                }
                Delivery::Failed { maybe_received } => {
                    group.has_stale_address = true;
                    if maybe_received && !notification.firing.is_empty() {
                        let entry = group.log.entry(to.clone()).or_default();
                        entry.maybe_firing.clone_from(&notification.firing);
                        entry.expires_at = expires_at;
                    }
                    self.notify_fallback(&mut group, notification, now);
                }
            }
            self.remove_notified_members(&mut group);
            self.dirty.groups.insert(id.clone());
        }
        self.groups.insert(id, group);
    }

    /// Sends a failed notification to the fallback channel, unless the fallback was already notified of its alerts.
    fn notify_fallback(&mut self, group: &mut Group, failed: &Notification, now: UnixMs) {
        let traits = self.router.channels().get(&failed.channel);
        let Some(fallback) = traits.and_then(|traits| traits.fallback.clone()) else {
            return;
        };
        for to in self.router.destinations_of(&fallback) {
            let state = GroupState {
                firing: &failed.firing,
                resolved: &failed.resolved,
                repeat_interval: group.repeat_interval,
                at: now,
            };
            let is_needed = notification_reason(group.log.get(&to), state, true).is_some()
                || (failed.firing.is_empty() && !group.log.contains_key(&to));
            if group.in_flight.contains_key(&to) || !is_needed {
                continue;
            }
            let mut notification = failed.clone();
            notification.id = self.next_id;
            self.next_id += 1;
            notification.channel = to.channel.to_string();
            notification.address = to.index;
            notification.created_at = now;
            notification.deadline = self.deadline(group, now);
            notification.message.reason = Reason::Fallback {
                channel: failed.channel.clone(),
            };
            group.in_flight.insert(to, notification.id);
            self.pending.push(notification);
        }
    }

    /// Returns the deadline of a notification that is created at `now`.
    pub(super) fn deadline(&self, group: &Group, now: UnixMs) -> UnixMs {
        now + group.group_interval.max(self.options.delivery_time)
    }
}
