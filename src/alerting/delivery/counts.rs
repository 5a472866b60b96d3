//! Defines the counters of notifications for the metrics.

use std::collections::BTreeMap;

use crate::alerting::{FailureClass, dispatch::SuppressedCounts};

/// The counters and gauges of notifications since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotificationCounts {
    /// The counters of each channel.
    pub channels: BTreeMap<String, ChannelCounts>,
    /// The counters of each Alertmanager.
    pub peers: BTreeMap<String, PeerCounts>,
    /// Suppressed and dropped alerts by reason.
    pub(crate) suppressed: SuppressedCounts,
    /// The number of notifications that are neither accepted nor failed yet.
    pub outbox_depth: usize,
    /// The number of firing alerts.
    pub active_alerts: usize,
    /// The number of failed writes of the store.
    pub store_failures: u64,
    /// True if the state is in memory only because the disk failed.
    pub is_store_degraded: bool,
}

/// The counters of a channel's notifications.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelCounts {
    /// Notifications that the remote service accepted.
    pub sent: u64,
    /// Notifications that failed for good, by the class of the last error.
    pub failed: BTreeMap<FailureClass, u64>,
    /// Failed attempts, including attempts that were retried.
    pub failed_attempts: u64,
    /// Attempts that the notifier of the application did not return from within the time limit.
    pub hangs: u64,
    /// Addresses whose notifier has not returned yet from an attempt after its time limit.
    pub hanging: usize,
}

/// The counters of the alerts for an Alertmanager.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerCounts {
    /// Alerts that the Alertmanager accepted.
    pub sent: u64,
    /// Alerts that the Alertmanager rejected.
    pub refused: u64,
    /// Alerts that a full queue dropped.
    pub dropped: u64,
    /// Failed requests.
    pub failed_requests: u64,
}
