//! What a template sees.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::{
    Message, MessageAlert, Reason, Status,
    content::{Link, links},
    payload,
};

/// The group of alerts: Alertmanager's template data in snake case, and what it does not have. As public as a
/// metric's name: `docs/alert-templates.md` is held against it by a test.
#[derive(Debug, Serialize)]
pub(super) struct Data<'m> {
    receiver: &'m str,
    status: Status,
    alerts: Vec<DataAlert<'m>>,
    group_labels: &'m BTreeMap<String, String>,
    common_labels: &'m BTreeMap<String, String>,
    common_annotations: &'m BTreeMap<String, String>,
    external_url: &'m str,
    group_key: &'m str,
    truncated_alerts: usize,
    severity: &'static str,
    escalation_step: usize,
    dedup_key: &'m str,
    reason: &'static str,
    acknowledged_by: &'m str,
    acknowledge_comment: &'m str,
    title: String,
    firing_count: usize,
    resolved_count: usize,
    links: Vec<Link>,
}

#[derive(Debug, Serialize)]
struct DataAlert<'m> {
    status: Status,
    labels: BTreeMap<&'m str, &'m str>,
    annotations: &'m BTreeMap<String, String>,
    starts_at: String,
    ends_at: Option<String>,
    generator_url: &'m str,
    fingerprint: String,
    value: Option<f64>,
}

impl<'m> Data<'m> {
    pub(super) fn new(message: &'m Message) -> Self {
        let (acknowledged_by, acknowledge_comment) = match &message.reason {
            Reason::Acknowledged { by, comment } => (by.as_str(), comment.as_str()),
            _ => ("", ""),
        };
        Self {
            receiver: &message.receiver,
            status: message.status,
            alerts: message.alerts.iter().map(DataAlert::new).collect(),
            group_labels: &message.group_labels,
            common_labels: &message.common_labels,
            common_annotations: &message.common_annotations,
            external_url: &message.external_url,
            group_key: &message.group_key,
            truncated_alerts: message.truncated_alerts,
            severity: message.severity.as_str(),
            escalation_step: message.escalation_step,
            dedup_key: &message.dedup_key,
            reason: reason(&message.reason),
            acknowledged_by,
            acknowledge_comment,
            title: message.title(),
            firing_count: message.firing_count(),
            resolved_count: message.alerts.len() - message.firing_count(),
            links: links(message),
        }
    }
}

impl<'m> DataAlert<'m> {
    fn new(alert: &'m MessageAlert) -> Self {
        let labels = alert.alert.labels.iter();
        let ends_at = payload::time(alert.alert.ends_at);
        Self {
            status: alert.status,
            labels: labels.map(|label| (label.name(), label.value())).collect(),
            annotations: &alert.alert.annotations,
            starts_at: payload::time(alert.alert.starts_at),
            ends_at: (alert.status == Status::Resolved).then_some(ends_at),
            generator_url: &alert.alert.generator_url,
            fingerprint: format!("{:016x}", alert.fingerprint),
            value: alert.alert.value,
        }
    }
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
