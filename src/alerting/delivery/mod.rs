//! Sends what the dispatcher decides: writes it down, gives it to the channel's own task, and hears what came of it.
//!
//! [`Notifications`] is the handle that everybody has: alerts go in, silences and acknowledgements are given,
//! the history is asked. [`Runner`] is the one future that does the work; the observatory runs it on its own
//! thread. Each round it takes what is due, writes all that has changed in one transaction on a blocking thread,
//! and only then hands the notifications to the lanes: one task per address, each with its own backoff, so that
//! a dead channel delays no other.
//!
//! A notification leaves the outbox when its peer has accepted it, or when it is given up at its deadline. Between
//! an acceptance and the next commit a crash sends it again: at least once, and the dedup key is the same.

mod channel;
mod core;
mod counts;
mod handle;
mod lane;
mod options;
mod peer;
mod runner;
#[cfg(test)]
mod tests;
mod trial;
mod unwind;

#[cfg(feature = "email")]
pub(crate) use self::options::ATTEMPT_TIMEOUT;
pub use self::{
    channel::Channel,
    counts::{ChannelCounts, NotificationCounts, PeerCounts},
    handle::Notifications,
    options::{NotificationOptions, OpenError, TimeSource},
    runner::Runner,
    trial::{TestResult, UnknownChannel},
};
