//! What the metrics say about notifications.

use std::collections::BTreeMap;

use crate::alerting::{FailureClass, SuppressedCounts};

/// Counters and gauges since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotificationCounts {
    /// By channel.
    pub channels: BTreeMap<String, ChannelCounts>,
    /// By Alertmanager.
    pub peers: BTreeMap<String, PeerCounts>,
    /// What was kept back, and why.
    pub suppressed: SuppressedCounts,
    /// Notifications that nobody has accepted yet.
    pub outbox_depth: usize,
    /// Alerts that fire.
    pub active_alerts: usize,
    /// How often the store could not write.
    pub store_failures: u64,
    /// Whether state is in memory only although it should be on disk.
    pub is_store_degraded: bool,
}

/// What became of a channel's notifications.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelCounts {
    /// Accepted by the peer.
    pub sent: u64,
    /// Given up, by the class of the last failure.
    pub failed: BTreeMap<FailureClass, u64>,
    /// Attempts that failed, those that were tried again included.
    pub failed_attempts: u64,
}

/// What became of the alerts for one Alertmanager.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerCounts {
    /// Alerts that it accepted.
    pub sent: u64,
    /// Alerts that it refused.
    pub refused: u64,
    /// Alerts for which there was no room in its queue.
    pub dropped: u64,
    /// Requests that failed.
    pub failed_requests: u64,
}
