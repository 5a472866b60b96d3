//! Builds the data of a channel's templates: Alertmanager's, and the fields that only this crate's messages have.

use std::{collections::BTreeMap, sync::Arc};

use super::super::{
    Message, MessageAlert, MessageStatus, Reason,
    content::{Link, links},
};
use crate::alerting::template::{Field, ListKind, Value, ZERO_TIME_MS};

/// The data of a message. Users depend on its names as on the names of metrics: a test compares them with
/// `docs/alert-templates.md`.
pub(super) fn data(message: &Message) -> Value {
    let (by, comment) = match &message.reason {
        Reason::Acknowledged { by, comment } => (by.as_str(), comment.as_str()),
        _ => ("", ""),
    };
    let firing_count = message.firing_count();
    let resolved_count = message.alerts.len() - firing_count;
    let alerts = Value::list(ListKind::Alerts, message.alerts.iter().map(alert));
    let links = Value::list(ListKind::Other("[]Link"), links(message).iter().map(link));
    let fields = vec![
        Field::new("Receiver", "receiver", Value::text(&*message.receiver)),
        Field::new("Status", "status", Value::text(message.status.as_str())),
        Field::new("Alerts", "alerts", alerts),
        Field::new("GroupLabels", "groupLabels", kv(&message.group_labels)),
        Field::new("CommonLabels", "commonLabels", kv(&message.common_labels)),
        Field::new(
            "CommonAnnotations",
            "commonAnnotations",
            kv(&message.common_annotations),
        ),
        Field::new(
            "ExternalURL",
            "externalURL",
            Value::text(&*message.external_url),
        ),
        Field::new("GroupKey", "groupKey", Value::text(&*message.group_key)),
        Field::new(
            "TruncatedAlerts",
            "truncatedAlerts",
            Value::size(message.truncated_alerts),
        ),
        Field::new(
            "Severity",
            "severity",
            Value::text(message.severity.as_str()),
        ),
        Field::new(
            "EscalationStep",
            "escalationStep",
            Value::size(message.escalation_step),
        ),
        Field::new("DedupKey", "dedupKey", Value::text(&*message.dedup_key)),
        Field::new("Reason", "reason", Value::text(reason(&message.reason))),
        Field::new("AcknowledgedBy", "acknowledgedBy", Value::text(by)),
        Field::new(
            "AcknowledgeComment",
            "acknowledgeComment",
            Value::text(comment),
        ),
        Field::new("Title", "title", Value::text(message.title())),
        Field::new("FiringCount", "firingCount", Value::size(firing_count)),
        Field::new(
            "ResolvedCount",
            "resolvedCount",
            Value::size(resolved_count),
        ),
        Field::new("Links", "links", links),
    ];
    Value::object("*template.Data", fields)
}

pub(super) fn alert(alert: &MessageAlert) -> Value {
    let labels = alert.alert.labels.iter();
    let labels = labels.map(|label| (label.name().to_owned(), label.value().to_owned()));
    let ends_at_ms = match alert.status {
        MessageStatus::Firing => ZERO_TIME_MS,
        MessageStatus::Resolved => alert.alert.ends_at,
    };
    let fingerprint = format!("{:016x}", alert.fingerprint);
    let generator_url = Value::text(&*alert.alert.generator_url);
    let fields = vec![
        Field::new("Status", "status", Value::text(alert.status.as_str())),
        Field::new("Labels", "labels", Value::Kv(Arc::new(labels.collect()))),
        Field::new("Annotations", "annotations", kv(&alert.alert.annotations)),
        Field::new("StartsAt", "startsAt", Value::time(alert.alert.starts_at)),
        Field::new("EndsAt", "endsAt", Value::time(ends_at_ms)),
        Field::new("GeneratorURL", "generatorURL", generator_url),
        Field::new("Fingerprint", "fingerprint", Value::text(fingerprint)),
        Field::new(
            "Value",
            "value",
            alert.alert.value.map_or(Value::Nil, Value::Float),
        ),
    ];
    Value::object("template.Alert", fields)
}

fn link(link: &Link) -> Value {
    let fields = vec![
        Field::new("Label", "label", Value::text(link.label)),
        Field::new("URL", "url", Value::text(&*link.url)),
    ];
    Value::object("template.Link", fields)
}

fn kv(pairs: &BTreeMap<String, String>) -> Value {
    Value::Kv(Arc::new(pairs.clone()))
}

/// The time that `since` counts to: the time at which the message became due, so that every attempt has one text. A
/// message of an older outbox has no such time; the last change of its alerts stands in.
pub(super) fn now_ms(message: &Message) -> i64 {
    if message.created_at != 0 {
        return message.created_at;
    }
    let changes = message.alerts.iter().map(|alert| match alert.status {
        MessageStatus::Firing => alert.alert.starts_at,
        MessageStatus::Resolved => alert.alert.ends_at,
    });
    changes.max().unwrap_or_default()
}

fn reason(reason: &Reason) -> &'static str {
    match reason {
        Reason::New => "new",
        Reason::Changed => "changed",
        Reason::SomeResolved => "some_resolved",
        Reason::AllResolved => "all_resolved",
        Reason::Repeat => "repeat",
        Reason::Escalation => "escalation",
        Reason::Acknowledged { .. } => "acknowledged",
        Reason::Fallback { .. } => "fallback",
        Reason::Test => "test",
    }
}
