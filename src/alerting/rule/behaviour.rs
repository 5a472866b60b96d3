//! Defines the behaviour of an alert rule without data or with an error.

/// The behaviour of an alert rule when none of its series has a sample.
///
/// Prometheus has no such option: a comparison without samples has no result, as with [`Ok`](Self::Ok).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NoData {
    /// The condition counts as not met, as in Prometheus.
    #[default]
    Ok,
    /// An alert with the label `alert_reason="no_data"` fires after the rule's `for`.
    Alert,
    /// Pending and firing alerts keep their state.
    KeepLast,
}

/// The behaviour of an alert rule when its expression fails or its closure panics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnError {
    /// The condition counts as not met: firing alerts are resolved.
    Ok,
    /// An alert with the label `alert_reason="error"` fires after the rule's `for`. Pending and firing alerts keep
    /// their state.
    Alert,
    /// Pending and firing alerts keep their state, and firing alerts are sent again: a failed evaluation is no evidence
    /// that the condition ended.
    ///
    /// Prometheus sends nothing in this case, so its Alertmanager resolves the alert after four intervals.
    #[default]
    KeepLast,
}
