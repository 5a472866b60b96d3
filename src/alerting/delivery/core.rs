//! What the handle and the runner share, behind one lock that is never held across an await.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{ChannelCounts, lane::Settled};
use crate::alerting::{
    Alert, Delivery, DeliveryOutcome, DeliveryRecord, Dispatcher, History, Notification,
    outbox::Write,
};

/// The dispatcher, the history, and the outbox.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) dispatcher: Dispatcher,
    pub(super) history: History,
    pub(super) outbox: HashMap<u64, Arc<Notification>>,
    pub(super) channels: BTreeMap<String, ChannelCounts>,
    pub(super) slots: BTreeMap<String, Vec<u8>>,
    /// What is to be written beside what dispatcher and history report.
    pub(super) writes: Vec<Write>,
}

/// What one round decided.
#[derive(Debug)]
pub(super) struct Round {
    /// To be written before anything is sent.
    pub(super) writes: Vec<Write>,
    pub(super) notifications: Vec<Arc<Notification>>,
}

impl Core {
    pub(super) fn put(&mut self, alerts: Vec<Alert>, now: i64) {
        self.history.observe(&alerts, now);
        self.dispatcher.put(alerts, now);
    }

    /// Takes what is due, and all that has changed.
    pub(super) fn round(&mut self, now: i64) -> Round {
        self.history.expire(now);
        let due = self.dispatcher.tick(now).into_iter().map(Arc::new);
        let notifications: Vec<Arc<Notification>> = due.collect();
        let mut writes = std::mem::take(&mut self.writes);
        for notification in &notifications {
            self.outbox
                .insert(notification.id, Arc::clone(notification));
            writes.push(Write::PutNotification(Arc::clone(notification)));
        }
        writes.extend(
            self.dispatcher
                .take_changes()
                .into_iter()
                .map(Write::Change),
        );
        writes.extend(self.history.take_writes());
        Round {
            writes,
            notifications,
        }
    }

    /// Everything there is, for a store that begins anew.
    pub(super) fn everything(&mut self) -> Vec<Write> {
        self.writes.clear();
        self.dispatcher.mark_all_changed();
        self.history.mark_all_changed();
        let outbox = self.outbox.values().cloned().map(Write::PutNotification);
        let mut writes: Vec<Write> = outbox.collect();
        writes.extend(
            self.dispatcher
                .take_changes()
                .into_iter()
                .map(Write::Change),
        );
        writes.extend(self.history.take_writes());
        writes
    }

    /// Notes what became of a notification: in the log, the history, the counters and the outbox.
    pub(super) fn settle(&mut self, settled: &Settled, now: i64) {
        let notification = &*settled.notification;
        let counts = self
            .channels
            .entry(notification.channel.clone())
            .or_default();
        let (delivery, outcome) = match &settled.outcome {
            Ok(receipt) => {
                counts.sent += 1;
                counts.failed_attempts += u64::from(settled.attempts.saturating_sub(1));
                let answer = receipt.answer.clone();
                (Delivery::Accepted, DeliveryOutcome::Accepted { answer })
            }
            Err(error) => {
                *counts.failed.entry(error.class).or_default() += 1;
                counts.failed_attempts += u64::from(settled.attempts);
                let failed = DeliveryOutcome::Failed {
                    reason: error.class.as_str().to_owned(),
                    error: error.text.clone(),
                };
                let maybe_received = error.maybe_received;
                (Delivery::Failed { maybe_received }, failed)
            }
        };
        let record = DeliveryRecord {
            at: now,
            receiver: notification.message.receiver.clone(),
            destination: notification.destination(),
            status: notification.message.status,
            reason: notification.message.reason.clone(),
            attempts: settled.attempts,
            outcome,
        };
        self.history.delivered(notification, &record);
        self.dispatcher.delivered(notification, delivery, now);
        self.outbox.remove(&notification.id);
        self.writes.push(Write::RemoveNotification(notification.id));
    }
}
