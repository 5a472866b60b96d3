//! Selects, cleans and shortens the parts of a [`Message`] that channels for people show.
//!
//! Each channel then escapes the parts in its own way and cuts them to its own limits. Labels and annotations come from
//! outside: a label may be a megabyte long, have line breaks or change the direction of the text around it. The parts
//! have no control characters and a limited length.

mod links;
mod text;

#[cfg(feature = "email")]
pub(super) use self::text::cleaned;
pub(super) use self::{
    links::{Link, links},
    text::{lines, one_line},
};
use super::{Message, MessageAlert, MessageStatus, Reason, payload};

/// Characters of a title: the limit of Slack and `PagerDuty`.
pub(super) const MAX_TITLE_CHARS: usize = 1_024;
/// Characters of a label's name or value.
const MAX_LABEL_CHARS: usize = 200;
/// Labels that a channel shows, of the group and of each alert.
pub(super) const MAX_LABELS: usize = 20;
/// Characters of a summary, which has one line.
const MAX_SUMMARY_CHARS: usize = 300;
/// Characters of a description, which may have several lines.
const MAX_DESCRIPTION_CHARS: usize = 1_000;

/// The parts of a message, not yet escaped.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct Content {
    pub(super) title: String,
    pub(super) status: MessageStatus,
    pub(super) severity: &'static str,
    /// The reason of the message as a sentence; empty for the first message about a group.
    pub(super) reason: String,
    /// The annotations that all alerts share.
    pub(super) summary: String,
    pub(super) description: String,
    /// The labels that all alerts share, without the labels in the title.
    pub(super) labels: Vec<ContentLabel>,
    pub(super) alerts: Vec<ContentAlert>,
    /// The number of alerts that are left out.
    pub(super) more: usize,
    pub(super) links: Vec<Link>,
}

/// One alert of a message, without the labels and annotations that all alerts share.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct ContentAlert {
    pub(super) status: MessageStatus,
    /// `since …` or `until …`.
    pub(super) when: String,
    pub(super) value: String,
    pub(super) labels: Vec<ContentLabel>,
    pub(super) summary: String,
    pub(super) description: String,
}

/// A label.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct ContentLabel {
    pub(super) name: String,
    pub(super) value: String,
}

impl Content {
    /// Selects the parts, with at most `max_alerts` alerts, firing alerts first.
    pub(super) fn new(message: &Message, max_alerts: usize) -> Self {
        let mut alerts: Vec<&MessageAlert> = message.alerts.iter().collect();
        alerts.sort_by_key(|alert| alert.status == MessageStatus::Resolved);
        let shown = alerts.iter().take(max_alerts);
        let annotation = |name: &str| message.common_annotations.get(name);
        let labels = message.common_labels.iter();
        let labels = labels.filter(|(name, _)| !matches!(name.as_str(), "alertname" | "severity"));
        Self {
            title: one_line(&message.title(), MAX_TITLE_CHARS),
            status: message.status,
            severity: message.severity.as_str(),
            reason: reason(message),
            summary: annotation("summary").map_or_else(String::new, |text| summary(text)),
            description: annotation("description")
                .map_or_else(String::new, |text| description(text)),
            labels: content_labels(labels.map(|(name, value)| (name.as_str(), value.as_str()))),
            alerts: shown.map(|alert| content_alert(alert, message)).collect(),
            more: alerts.len().saturating_sub(max_alerts) + message.truncated_alerts,
            links: links(message),
        }
    }
}

fn content_alert(alert: &MessageAlert, message: &Message) -> ContentAlert {
    let own = |name: &str| {
        let is_shared = message.common_annotations.contains_key(name);
        alert.alert.annotations.get(name).filter(|_| !is_shared)
    };
    let labels = alert.alert.labels.iter();
    let labels = labels.map(|label| (label.name(), label.value()));
    let labels = labels.filter(|(name, value)| {
        message.common_labels.get(*name).map(String::as_str) != Some(value)
    });
    ContentAlert {
        status: alert.status,
        when: match alert.status {
            MessageStatus::Firing => format!("since {}", clock(alert.alert.starts_at)),
            MessageStatus::Resolved => format!("until {}", clock(alert.alert.ends_at)),
        },
        value: alert
            .alert
            .value
            .map_or_else(String::new, |value| value.to_string()),
        labels: content_labels(labels),
        summary: own("summary").map_or_else(String::new, |text| summary(text)),
        description: own("description").map_or_else(String::new, |text| description(text)),
    }
}

fn content_labels<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<ContentLabel> {
    labels
        .take(MAX_LABELS)
        .map(|(name, value)| ContentLabel {
            name: one_line(name, MAX_LABEL_CHARS),
            value: one_line(value, MAX_LABEL_CHARS),
        })
        .collect()
}

fn summary(text: &str) -> String {
    one_line(text, MAX_SUMMARY_CHARS)
}

fn description(text: &str) -> String {
    lines(text, MAX_DESCRIPTION_CHARS)
}

/// Writes a time in seconds: `2026-11-23 19:40:34 UTC`.
fn clock(ms: i64) -> String {
    let time = payload::time(ms.div_euclid(1_000).saturating_mul(1_000));
    format!("{} UTC", time.trim_end_matches('Z').replace('T', " "))
}

fn reason(message: &Message) -> String {
    match &message.reason {
        Reason::New => String::new(),
        Reason::Changed => "More alerts have joined.".to_owned(),
        Reason::SomeResolved => "Some alerts have resolved.".to_owned(),
        Reason::AllResolved => "All alerts have resolved.".to_owned(),
        Reason::Repeat => "Still firing.".to_owned(),
        Reason::Escalation => format!(
            "Not acknowledged: escalation step {}.",
            message.escalation_step
        ),
        Reason::Acknowledged { by, comment } if comment.trim().is_empty() => {
            format!("Acknowledged by {}.", summary(by))
        }
        Reason::Acknowledged { by, comment } => {
            format!("Acknowledged by {}: {}", summary(by), summary(comment))
        }
        Reason::Fallback { channel } => {
            format!(
                "Sent here because {} could not deliver it.",
                summary(channel)
            )
        }
        Reason::Test => "This is a test.".to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests;
