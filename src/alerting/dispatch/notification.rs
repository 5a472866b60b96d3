//! Defines the notification: a message for one address.

use serde::{Deserialize, Serialize};

use crate::{
    alerting::{Message, route::Destination},
    runtime::unix_ms::UnixMs,
};

/// A message for one address of a channel; delivery is retried until `deadline`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Notification {
    /// The id of the notification; unique in the outbox.
    pub(crate) id: u64,
    /// The name of the channel.
    pub(crate) channel: String,
    /// The index of the address in the channel, from 0.
    pub(crate) address: u16,
    /// The time at which the notification became due.
    pub(crate) created_at: UnixMs,
    /// The time of the last attempt.
    pub(crate) deadline: UnixMs,
    /// The message.
    pub(crate) message: Message,
    /// The id of the group.
    pub(crate) group: String,
    /// The sorted fingerprints of the group's firing alerts; the message may hold fewer.
    pub(crate) firing: Vec<u64>,
    /// The sorted fingerprints of the group's resolved alerts.
    pub(crate) resolved: Vec<u64>,
}

/// The result of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The receiver accepted the notification.
    Accepted,
    /// All attempts failed.
    Failed {
        /// True if the receiver may have received the notification: an attempt timed out, or its connection broke.
        maybe_received: bool,
    },
}

impl Notification {
    /// Returns the name of the address: `webhook`, or `webhook/1`.
    pub(crate) fn address_name(&self) -> String {
        self.destination().to_string()
    }

    /// Moves the deadline by a step of the wall clock; the times in the message stay as they are sent.
    pub(crate) fn shift(&mut self, by_ms: i64) {
        self.created_at.shift(by_ms);
        self.deadline.shift(by_ms);
    }

    pub(super) fn destination(&self) -> Destination {
        Destination {
            channel: self.channel.as_str().into(),
            index: self.address,
        }
    }
}
