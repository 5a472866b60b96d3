//! Hears what became of a notification, and writes it into the log of what its address knows.

use super::{
    Delivery, Dispatcher, Notification,
    dedup::{self, LogEntry, Now},
};
use crate::alerting::{Reason, route::to_ms};

impl Dispatcher {
    /// Takes note of what became of a notification.
    ///
    /// An accepted one is what its address knows from now on. A failed one leaves the log as it was, so that the
    /// next flush tries again with what is true then; its channel's fallback, if there is one, is told at once.
    pub fn delivered(&mut self, notification: &Notification, delivery: Delivery, now: i64) {
        let to = notification.to();
        let Some(mut group) = self.groups.remove(notification.group.as_str()) else {
            return;
        };
        let id = group.id.clone();
        if group.in_flight.get(&to) == Some(&notification.id) {
            group.in_flight.remove(&to);
            let expires_at = now.saturating_add(group.repeat_ms.saturating_mul(2));
            match delivery {
                Delivery::Accepted => {
                    let entry = LogEntry {
                        firing: notification.firing.clone(),
                        resolved: notification.resolved.clone(),
                        maybe: Vec::new(),
                        at: now,
                        expires_at,
                    };
                    group.log.insert(to, entry);
                }
                Delivery::Failed { maybe_received } => {
                    group.is_behind = true;
                    if maybe_received && !notification.firing.is_empty() {
                        let entry = group.log.entry(to.clone()).or_default();
                        entry.maybe.clone_from(&notification.firing);
                        entry.expires_at = expires_at;
                    }
                    self.fall_back(&mut group, notification, now);
                }
            }
            self.drop_told_members(&mut group);
            self.dirty.groups.insert(id.clone());
        }
        self.groups.insert(id, group);
    }

    /// Tells the fallback what could not be delivered, unless it knows already.
    fn fall_back(&mut self, group: &mut super::group::Group, failed: &Notification, now: i64) {
        let traits = self.router.channels().get(&failed.channel);
        let Some(fallback) = traits.and_then(|traits| traits.fallback.clone()) else {
            return;
        };
        for to in self.router.destinations_of(&fallback) {
            let state = Now {
                firing: &failed.firing,
                resolved: &failed.resolved,
                repeat_ms: group.repeat_ms,
                at: now,
            };
            let is_news = dedup::reason(group.log.get(&to), state, true).is_some()
                || (failed.firing.is_empty() && !group.log.contains_key(&to));
            if group.in_flight.contains_key(&to) || !is_news {
                continue;
            }
            let mut notification = failed.clone();
            notification.id = self.next_id;
            self.next_id += 1;
            notification.channel = to.channel.to_string();
            notification.address = to.index;
            notification.created_at = now;
            notification.deadline =
                now.saturating_add(group.interval_ms.max(to_ms(self.options.delivery_time)));
            notification.message.reason = Reason::Fallback {
                channel: failed.channel.clone(),
            };
            group.in_flight.insert(to, notification.id);
            self.pending.push(notification);
        }
    }
}
