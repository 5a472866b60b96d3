//! What a channel for people says about a [`Message`]: picked, cleaned and shortened once, before each channel
//! escapes it its own way and cuts it to its own limits.
//!
//! Labels and annotations are foreign: a label may be a megabyte long, forge a line or turn the direction of the
//! text around it. Nothing of that is left here.

mod links;
mod text;

use serde::Serialize;

#[cfg(feature = "email")]
pub(super) use self::text::cleaned;
pub(super) use self::{
    links::{Link, links},
    text::{lines, one_line},
};
use super::{Message, MessageAlert, Reason, Status, payload};

/// Characters of a title: what Slack and `PagerDuty` take.
pub(super) const MAX_TITLE_CHARS: usize = 1_024;
/// Characters of a label's name or value.
const MAX_LABEL_CHARS: usize = 200;
/// Labels that are shown, of the group and of each alert.
pub(super) const MAX_LABELS: usize = 20;
/// Characters of a summary, which is one line.
const MAX_SUMMARY_CHARS: usize = 300;
/// Characters of a description, which may be several.
const MAX_DESCRIPTION_CHARS: usize = 1_000;

/// A message, ready to be escaped.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Content {
    pub(super) title: String,
    pub(super) status: Status,
    pub(super) severity: &'static str,
    /// Why it is sent; empty for the first message about a group.
    pub(super) why: String,
    /// What all alerts say.
    pub(super) summary: String,
    pub(super) description: String,
    /// The labels that all alerts share, but for those that the title has.
    pub(super) labels: Vec<ContentLabel>,
    pub(super) alerts: Vec<ContentAlert>,
    /// Alerts that are left out.
    pub(super) more: usize,
    pub(super) links: Vec<Link>,
}

/// One alert of it: what it does not share with the others.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct ContentAlert {
    pub(super) status: Status,
    /// `since …` or `until …`.
    pub(super) when: String,
    pub(super) value: String,
    pub(super) labels: Vec<ContentLabel>,
    pub(super) summary: String,
    pub(super) description: String,
}

/// A label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct ContentLabel {
    pub(super) name: String,
    pub(super) value: String,
}

impl Content {
    /// Picks what is said, with at most `max_alerts` alerts, those that fire first.
    pub(super) fn new(message: &Message, max_alerts: usize) -> Self {
        let mut alerts: Vec<&MessageAlert> = message.alerts.iter().collect();
        alerts.sort_by_key(|alert| alert.status == Status::Resolved);
        let shown = alerts.iter().take(max_alerts);
        let annotation = |name: &str| message.common_annotations.get(name);
        let labels = message.common_labels.iter();
        let labels = labels.filter(|(name, _)| !matches!(name.as_str(), "alertname" | "severity"));
        Self {
            title: one_line(&message.title(), MAX_TITLE_CHARS),
            status: message.status,
            severity: message.severity.as_str(),
            why: why(message),
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
            Status::Firing => format!("since {}", clock(alert.alert.starts_at)),
            Status::Resolved => format!("until {}", clock(alert.alert.ends_at)),
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

/// `2026-11-23 19:40:34 UTC`: seconds are enough for a person.
fn clock(ms: i64) -> String {
    let time = payload::time(ms.div_euclid(1_000).saturating_mul(1_000));
    format!("{} UTC", time.trim_end_matches('Z').replace('T', " "))
}

fn why(message: &Message) -> String {
    match &message.reason {
        Reason::New => String::new(),
        Reason::Changed => "More alerts have joined.".to_owned(),
        Reason::SomeResolved => "Some are over.".to_owned(),
        Reason::AllResolved => "All are over.".to_owned(),
        Reason::Repeat => "Still firing.".to_owned(),
        Reason::Escalation => format!(
            "Nobody has acknowledged this: escalation step {}.",
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
