//! Defines the message that a channel sends: Alertmanager's template data with a severity, a reason and a dedup key.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::alerting::{Alert, Severity, alert::shared};

/// A message about one group of alerts.
///
/// The fields up to `truncated_alerts` have the meaning of Alertmanager's fields; Alertmanager lacks the other fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Message {
    /// The receiver that the route names.
    pub receiver: String,
    /// Firing while an alert of the group fires.
    pub status: MessageStatus,
    /// The alerts of the group, in a stable order.
    pub alerts: Vec<MessageAlert>,
    /// The labels by which the alerts are grouped.
    pub group_labels: BTreeMap<String, String>,
    /// The labels that all alerts share.
    pub common_labels: BTreeMap<String, String>,
    /// The annotations that all alerts share.
    pub common_annotations: BTreeMap<String, String>,
    /// The URL of the observatory for browsers.
    pub external_url: String,
    /// Identifies the group: the route's matchers and the group's labels.
    pub group_key: String,
    /// The number of alerts that were left out because of the channel's limit.
    pub truncated_alerts: usize,
    /// The highest severity of the firing alerts, or of all alerts of a resolved group, raised by each escalation.
    pub severity: Severity,
    /// The number of escalations of the group.
    pub escalation_step: usize,
    /// The key of the group, the same for all messages of all replicas, also after a restart: 64 hexadecimal digits. A
    /// receiver drops duplicates by this key.
    pub dedup_key: String,
    /// The reason of the message.
    pub reason: Reason,
    /// The time at which the message became due, in milliseconds since the epoch, the same for every attempt. 0: not
    /// known.
    #[serde(default)]
    pub created_at: i64,
}

/// One alert of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MessageAlert {
    /// The status of the alert at the time of the message.
    pub status: MessageStatus,
    /// The alert.
    #[serde(with = "shared")]
    pub alert: Arc<Alert>,
    /// Identifies the labels of the alert; 16 hexadecimal digits in JSON.
    #[serde(with = "crate::alerting::alert::hex")]
    pub fingerprint: u64,
}

/// The status of an alert or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageStatus {
    /// The alert fires.
    Firing,
    /// The alert has resolved.
    Resolved,
}

/// The reason of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The first message about the group.
    New,
    /// Alerts have joined the group.
    Changed,
    /// Some alerts of the group have resolved.
    SomeResolved,
    /// All alerts of the group have resolved.
    AllResolved,
    /// The repeat interval has passed without a change.
    Repeat,
    /// No acknowledgement came in time.
    Escalation,
    /// A person has acknowledged the group.
    Acknowledged {
        /// The person.
        by: String,
        /// The person's comment.
        comment: String,
    },
    /// Another channel failed to deliver the message.
    Fallback {
        /// The failed channel.
        channel: String,
    },
    /// A test of the channel.
    Test,
}

impl MessageStatus {
    /// The name of the status in Alertmanager's payloads.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

impl Message {
    /// Creates a message without alerts; [`Message::with_alerts`] adds them.
    pub(crate) fn new(receiver: impl Into<String>, group_key: impl Into<String>) -> Self {
        let group_key = group_key.into();
        Self {
            receiver: receiver.into(),
            status: MessageStatus::Resolved,
            alerts: Vec::new(),
            group_labels: BTreeMap::new(),
            common_labels: BTreeMap::new(),
            common_annotations: BTreeMap::new(),
            external_url: String::new(),
            truncated_alerts: 0,
            severity: Severity::default(),
            escalation_step: 0,
            dedup_key: Self::dedup_key_of(&group_key),
            reason: Reason::New,
            created_at: 0,
            group_key,
        }
    }

    /// The SHA-256 of the group key, which Alertmanager sends to `PagerDuty` as well.
    pub(crate) fn dedup_key_of(group_key: &str) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, group_key.as_bytes());
        hex(digest.as_ref())
    }

    /// Creates the message of a channel test.
    #[must_use]
    pub fn test(receiver: impl Into<String>, now: i64) -> Self {
        let labels = [("alertname", "ObservatoryTest"), ("severity", "info")];
        let mut alert = Alert::new(crate::query::Labels::from_pairs(labels), now);
        let summary = "A test of this channel. Nothing is wrong.".to_owned();
        alert.annotations.insert("summary".to_owned(), summary);
        let alert = MessageAlert::new(Arc::new(alert), MessageStatus::Firing);
        let mut message =
            Self::new(receiver, "{}:{alertname=\"ObservatoryTest\"}").with_alerts(vec![alert]);
        message.group_labels = message.common_labels.clone();
        message.reason = Reason::Test;
        message.created_at = now;
        message
    }

    /// Returns the message with another group key, so that it opens and closes no incident of a real group.
    pub(crate) fn with_group_key(mut self, group_key: impl Into<String>) -> Self {
        self.group_key = group_key.into();
        self.dedup_key = Self::dedup_key_of(&self.group_key);
        self
    }

    /// Returns the message with all alerts resolved at `now`.
    pub(crate) fn resolved(&self, now: i64) -> Self {
        let severity = self.severity;
        let alerts = self.alerts.iter().map(|alert| {
            let mut resolved = Alert::clone(&alert.alert);
            resolved.ends_at = now;
            MessageAlert::new(Arc::new(resolved), MessageStatus::Resolved)
        });
        let mut message = self.clone().with_alerts(alerts.collect());
        message.severity = severity;
        message.created_at = now;
        message
    }

    /// Sets the alerts and the fields that depend on them: status, severity, common labels and annotations.
    pub(crate) fn with_alerts(mut self, alerts: Vec<MessageAlert>) -> Self {
        let is_firing = |alert: &&MessageAlert| alert.status == MessageStatus::Firing;
        self.status = match alerts.iter().find(is_firing) {
            Some(_) => MessageStatus::Firing,
            None => MessageStatus::Resolved,
        };
        let counting = alerts.iter().filter(|alert| alert.status == self.status);
        self.severity = counting
            .filter_map(|alert| alert.alert.severity())
            .max()
            .unwrap_or_default();
        self.common_labels = common(&alerts, |alert| {
            let labels = alert.labels.iter();
            labels.map(|label| (label.name(), label.value())).collect()
        });
        self.common_annotations = common(&alerts, |alert| {
            let annotations = alert.annotations.iter();
            annotations
                .map(|(name, text)| (name.as_str(), text.as_str()))
                .collect()
        });
        self.alerts = alerts;
        self
    }

    /// Returns the message with its first `max` alerts; 0 means all alerts. The common labels and annotations are those
    /// of the remaining alerts, as in Alertmanager.
    #[must_use]
    pub fn truncated(&self, max: usize) -> Self {
        if max == 0 || self.alerts.len() <= max {
            return self.clone();
        }
        let mut message = self.clone();
        let alerts = self.alerts[..max].to_vec();
        message.truncated_alerts = self.truncated_alerts + self.alerts.len() - max;
        let severity = message.severity;
        message = message.with_alerts(alerts);
        message.severity = severity;
        message
    }

    /// The number of firing alerts.
    #[must_use]
    pub fn firing_count(&self) -> usize {
        let firing = self
            .alerts
            .iter()
            .filter(|alert| alert.status == MessageStatus::Firing);
        firing.count()
    }

    /// The title of the message: `[FIRING:2] HighErrorRate (critical)`.
    #[must_use]
    pub fn title(&self) -> String {
        let name = self
            .common_labels
            .get("alertname")
            .map_or("several alerts", String::as_str);
        match self.status {
            MessageStatus::Firing => format!(
                "[FIRING:{}] {name} ({})",
                self.firing_count(),
                self.severity
            ),
            MessageStatus::Resolved => format!("[RESOLVED] {name} ({})", self.severity),
        }
    }
}

impl MessageAlert {
    pub(crate) fn new(alert: Arc<Alert>, status: MessageStatus) -> Self {
        Self {
            status,
            fingerprint: alert.fingerprint(),
            alert,
        }
    }
}

/// Writes bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
    nibbles
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}

/// Returns the pairs that all alerts share.
fn common(
    alerts: &[MessageAlert],
    pairs: impl for<'a> Fn(&'a Alert) -> Vec<(&'a str, &'a str)>,
) -> BTreeMap<String, String> {
    let Some((first, rest)) = alerts.split_first() else {
        return BTreeMap::new();
    };
    let mut shared = pairs(&first.alert);
    for alert in rest {
        if shared.is_empty() {
            break;
        }
        let own = pairs(&alert.alert);
        // Both are sorted by name and short.
        shared.retain(|pair| own.contains(pair));
    }
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    shared.into_iter().map(owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Labels;

    fn alert(model: &str, status: MessageStatus, severity: &str) -> MessageAlert {
        let labels = [
            ("alertname", "Slow"),
            ("model_id", model),
            ("severity", severity),
        ];
        let mut alert = Alert::new(Labels::from_pairs(labels), 0);
        alert
            .annotations
            .insert("summary".to_owned(), "slow".to_owned());
        MessageAlert::new(Arc::new(alert), status)
    }

    #[test]
    fn a_message_has_what_its_alerts_have_in_common() {
        let message = Message::new("all", "{}:{}").with_alerts(vec![
            alert("a", MessageStatus::Firing, "warning"),
            alert("b", MessageStatus::Resolved, "critical"),
        ]);
        assert_eq!(message.status, MessageStatus::Firing);
        assert_eq!(message.severity, Severity::Warning);
        let common: Vec<&str> = message.common_labels.keys().map(String::as_str).collect();
        assert_eq!(common, ["alertname"]);
        assert_eq!(message.common_annotations["summary"], "slow");
        assert_eq!(message.title(), "[FIRING:1] Slow (warning)");
        assert_eq!(message.dedup_key.len(), 64);
    }

    #[test]
    fn a_truncated_message_counts_what_it_leaves_out() {
        let alerts = (0..5).map(|n| alert(&n.to_string(), MessageStatus::Firing, "error"));
        let message = Message::new("all", "{}:{}").with_alerts(alerts.collect());
        assert_eq!(message.truncated(0), message);
        assert_eq!(message.truncated(5), message);
        let short = message.truncated(1);
        assert_eq!((short.alerts.len(), short.truncated_alerts), (1, 4));
        assert_eq!(short.common_labels["model_id"], "0");
    }
}
