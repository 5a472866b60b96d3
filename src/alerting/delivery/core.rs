//! Combines the dispatcher, the history and the outbox: the state that the handle and the runner share.
//!
//! The state is behind one lock, which is never held across an await.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{ChannelCounts, address_worker::Completion};
use crate::{
    alerting::{
        Alert, DeliveryOutcome, DeliveryRecord,
        dispatch::{Delivery, Dispatcher, Notification},
        history::History,
        outbox::Write,
    },
    runtime::unix_ms::UnixMs,
};

/// The dispatcher, the history, and the outbox.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) dispatcher: Dispatcher,
    pub(super) history: History,
    /// The notifications that are neither accepted nor failed yet.
    pub(super) outbox: HashMap<u64, Arc<Notification>>,
    pub(super) channels: BTreeMap<String, ChannelCounts>,
    /// The named values of the store, such as the state of the rules.
    pub(super) slots: BTreeMap<String, Vec<u8>>,
    /// The names of the values that were set or removed since the last batch.
    pub(super) changed_slots: BTreeSet<String>,
    /// Pending writes of the outbox.
    pub(super) writes: Vec<Write>,
    /// The steps of the wall clock since the start, in milliseconds.
    pub(super) stepped_ms: i64,
    /// The number of batches of changes since the start.
    pub(super) batches: u64,
}

/// The result of a round.
#[derive(Debug)]
pub(super) struct Round {
    /// The changes to write before the notifications are sent.
    pub(super) writes: Vec<Write>,
    pub(super) notifications: Vec<Assignment>,
}

/// A notification for an address worker.
#[derive(Clone, Debug)]
pub(super) struct Assignment {
    pub(super) notification: Arc<Notification>,
    /// The deadline on the steady clock of the workers; see [`Core::steady`].
    pub(super) deadline: UnixMs,
}

impl Core {
    /// Puts alerts into the dispatcher and the history.
    pub(super) fn put(&mut self, alerts: Vec<Alert>, now: UnixMs) {
        self.history.observe(&alerts, now);
        self.dispatcher.put(alerts, now);
    }

    /// Returns the notifications that are due at `now`, and all changes since the last round.
    pub(super) fn round(&mut self, now: UnixMs) -> Round {
        self.history.expire(now);
        let due = self.dispatcher.tick(now).into_iter().map(Arc::new);
        let notifications: Vec<Arc<Notification>> = due.collect();
        for notification in &notifications {
            self.outbox
                .insert(notification.id, Arc::clone(notification));
            self.writes
                .push(Write::PutNotification(Arc::clone(notification)));
        }
        Round {
            writes: self.take_writes(),
            notifications: self.assignments(notifications),
        }
    }

    /// Returns a time without the steps of the wall clock since the start. Workers keep their deadlines on this clock,
    /// because a step does not reach their queues.
    pub(super) fn steady(&self, mut time: UnixMs) -> UnixMs {
        time.shift(self.stepped_ms.saturating_neg());
        time
    }

    pub(super) fn assignments(
        &self,
        notifications: impl IntoIterator<Item = Arc<Notification>>,
    ) -> Vec<Assignment> {
        let assigned = |notification: Arc<Notification>| Assignment {
            deadline: self.steady(notification.deadline),
            notification,
        };
        notifications.into_iter().map(assigned).collect()
    }

    /// Moves all times by a step of the wall clock, before which the time was `before`.
    pub(super) fn shift(&mut self, by_ms: i64, before: UnixMs) {
        self.stepped_ms = self.stepped_ms.saturating_add(by_ms);
        self.dispatcher.shift(by_ms, before);
        self.history.shift(by_ms, before);
        for notification in self.outbox.values_mut() {
            Arc::make_mut(notification).shift(by_ms);
            self.writes
                .push(Write::PutNotification(Arc::clone(notification)));
        }
    }

    /// Sets a named value, or removes it.
    pub(super) fn set_slot(&mut self, name: &str, bytes: Option<Vec<u8>>) {
        match bytes {
            Some(bytes) => self.slots.insert(name.to_owned(), bytes),
            None => self.slots.remove(name),
        };
        self.changed_slots.insert(name.to_owned());
    }

    /// Returns the next batch: all changes since the last call.
    pub(super) fn take_writes(&mut self) -> Vec<Write> {
        self.batches += 1;
        let mut writes = std::mem::take(&mut self.writes);
        let slots = std::mem::take(&mut self.changed_slots).into_iter();
        writes.extend(slots.map(|name| match self.slots.get(&name) {
            Some(bytes) => Write::PutSlot(name, bytes.clone()),
            None => Write::RemoveSlot(name),
        }));
        let changes = self.dispatcher.take_changes();
        writes.extend(changes.into_iter().map(Write::Change));
        let changes = self.history.take_changes();
        writes.extend(changes.into_iter().map(Write::History));
        writes
    }

    /// Returns the writes of the complete state, for a new or recovered store.
    pub(super) fn full_state(&mut self) -> Vec<Write> {
        self.dispatcher.mark_all_changed();
        self.history.mark_all_changed();
        self.changed_slots.extend(self.slots.keys().cloned());
        let outbox = self.outbox.values().cloned();
        self.writes = outbox.map(Write::PutNotification).collect();
        self.take_writes()
    }

    /// Records the completion of a notification in the notification log, the history, the counters and the outbox.
    pub(super) fn complete(&mut self, completion: &Completion, now: UnixMs) {
        let notification = &*completion.notification;
        let counts = self
            .channels
            .entry(notification.channel.clone())
            .or_default();
        let (delivery, outcome) = match &completion.result {
            Ok(receipt) => {
                counts.sent += 1;
                counts.failed_attempts += u64::from(completion.attempts.saturating_sub(1));
                let answer = receipt.answer.clone();
                (Delivery::Accepted, DeliveryOutcome::Accepted { answer })
            }
            Err(error) => {
                *counts.failed.entry(error.class).or_default() += 1;
                counts.failed_attempts += u64::from(completion.attempts);
                let failed = DeliveryOutcome::Failed {
                    reason: error.class.as_str().to_owned(),
                    error: error.text.clone(),
                };
                let maybe_received = error.maybe_received;
                (Delivery::Failed { maybe_received }, failed)
            }
        };
        let record = DeliveryRecord {
            at: now.as_i64(),
            receiver: notification.message.receiver.clone(),
            destination: notification.address_name(),
            status: notification.message.status,
            reason: notification.message.reason.clone(),
            attempts: completion.attempts,
            outcome,
        };
        self.history.record_delivery(notification, &record);
        self.dispatcher.record_delivery(notification, delivery, now);
        self.outbox.remove(&notification.id);
        self.writes.push(Write::RemoveNotification(notification.id));
    }
}
