//! What a rule does when it cannot tell.

/// What an alert rule does when none of its series has a sample.
///
/// Prometheus knows no such thing: a comparison over nothing is nothing, which is [`Ok`](Self::Ok).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NoData {
    /// Nothing is wrong, as in Prometheus.
    #[default]
    Ok,
    /// That is wrong itself: an alert with the label `alert_reason="no_data"`, after the rule's `for`.
    Alert,
    /// What was pending or firing stays so.
    KeepLast,
}

/// What an alert rule does when its expression fails or its closure panics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnError {
    /// Nothing is wrong: what fires resolves.
    Ok,
    /// That is wrong itself: an alert with the label `alert_reason="error"`, after the rule's `for`. What was
    /// pending or firing stays so.
    Alert,
    /// What was pending or firing stays so and is told again, for a rule that fails says nothing about the world.
    ///
    /// Prometheus stays silent instead, so that its Alertmanager takes the alert for resolved four intervals later.
    #[default]
    KeepLast,
}
