//! Delivers the notifications of the dispatcher: persists them, sends them through their channels, and records the
//! results.
//!
//! [`Notifications`] is the shared handle: it takes alerts, silences and acknowledgements, and answers queries of the
//! history. [`Runner`] is the future that does the work; the observatory runs it on its own thread. Each round of the
//! runner takes the notifications that are due, writes all changes in one transaction on a blocking thread, and only
//! then passes the notifications to the address workers. Each address has its own worker with its own backoff, so that
//! an unavailable channel delays no other channel.
//!
//! A notification leaves the outbox when the remote service has accepted it, or at its deadline. If the process
//! crashes between an acceptance and the next commit, the notification is sent again: delivery is at least once, and
//! both messages have the same dedup key.

mod address;
mod address_worker;
mod channel;
mod channel_test;
mod core;
mod counts;
mod durability;
mod handle;
mod options;
mod peer;
mod runner;
#[cfg(test)]
mod tests;

#[cfg(feature = "email")]
pub(crate) use self::options::ATTEMPT_TIMEOUT;
pub use self::{
    channel::Channel,
    channel_test::{TestResult, UnknownChannel},
    counts::{ChannelCounts, NotificationCounts, PeerCounts},
    durability::NotDurable,
    handle::Notifications,
    options::{NotificationOptions, OpenError, TimeSource},
    runner::Runner,
};
