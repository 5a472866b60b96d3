//! How often something was kept back, and why.

/// Alerts that did not become, or not alone, a message; for the metrics.
///
/// As in Alertmanager, an alert that is silenced, inhibited or muted counts once each time its group is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SuppressedCounts {
    /// A silence held.
    pub silence: u64,
    /// Another alert kept it back.
    pub inhibition: u64,
    /// The route's times let nothing out.
    pub mute_interval: u64,
    /// It shared a message with others: all but one of each message.
    pub grouping: u64,
    /// It was over but flaps, so that nobody is told yet.
    pub flapping: u64,
    /// A repeat or an escalation was due, but somebody had acknowledged.
    pub acknowledged: u64,
    /// There were too many alerts already.
    pub alerts_over_limit: u64,
    /// There were too many groups already.
    pub groups_over_limit: u64,
}
