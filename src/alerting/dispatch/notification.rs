//! What is due: one message for one address.

use serde::{Deserialize, Serialize};

use crate::alerting::{Message, route::Destination};

/// One message for one address of one channel, to be sent until `deadline`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Notification {
    /// Identifies it among those that are under way.
    pub id: u64,
    /// The channel.
    pub channel: String,
    /// Which of the channel's addresses, from 0 on.
    pub address: u16,
    /// When it became due, in milliseconds since the epoch.
    pub created_at: i64,
    /// Until when it is worth trying.
    pub deadline: i64,
    /// What is said.
    pub message: Message,
    /// The group's id.
    pub(crate) group: String,
    /// The fingerprints of the group's firing alerts, sorted; those of the message may be fewer.
    pub(crate) firing: Vec<u64>,
    /// The fingerprints of the group's resolved alerts, sorted.
    pub(crate) resolved: Vec<u64>,
}

/// What became of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The peer accepted it.
    Accepted,
    /// It was given up.
    Failed {
        /// Whether the peer may have got it all the same: it never answered, or the connection broke.
        maybe_received: bool,
    },
}

impl Notification {
    /// What tells this address apart: `webhook`, or `webhook/1`.
    #[must_use]
    pub fn destination(&self) -> String {
        self.to().to_string()
    }

    pub(super) fn to(&self) -> Destination {
        Destination {
            channel: self.channel.as_str().into(),
            index: self.address,
        }
    }
}
