//! Counts suppressed and dropped alerts by reason.

/// The alerts that caused no message of their own, for the metrics.
///
/// As in Alertmanager, a silenced, inhibited or muted alert counts once per flush of its group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SuppressedCounts {
    /// Alerts that matched a silence.
    pub(crate) silence: u64,
    /// Alerts that a source alert inhibited.
    pub(crate) inhibition: u64,
    /// Alerts whose route was muted at that time.
    pub(crate) mute_interval: u64,
    /// Alerts that shared a message: all but one alert of each message.
    pub(crate) grouping: u64,
    /// Resolved alerts that still count as firing because they flap.
    pub(crate) flapping: u64,
    /// Repeats and escalation steps that an acknowledgement stopped.
    pub(crate) acknowledged: u64,
    /// Alerts that were dropped at the maximum number of alerts.
    pub(crate) alerts_over_limit: u64,
    /// Alerts without a group at the maximum number of groups.
    pub(crate) groups_over_limit: u64,
}
