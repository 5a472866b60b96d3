//! What is remembered of an alert.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::alerting::{Alert, Reason, Severity, Status, outbox::saved};

/// One time that a label set fired.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HistoryRecord {
    /// Grows with time.
    pub id: u64,
    /// Identifies the label set.
    pub fingerprint: u64,
    /// The rule: the label `alertname`.
    pub rule: String,
    /// The label `severity`; a warning where it names none.
    pub severity: Severity,
    /// All labels.
    pub labels: BTreeMap<String, String>,
    /// The annotations at the beginning.
    pub annotations: BTreeMap<String, String>,
    /// When it began, in milliseconds since the epoch.
    pub starts_at: i64,
    /// When it was over.
    pub ends_at: Option<i64>,
    /// When somebody acknowledged it first.
    pub acknowledged_at: Option<i64>,
    /// Who that was.
    pub acknowledged_by: Option<String>,
    /// What they said.
    pub acknowledge_comment: Option<String>,
    /// How often it was escalated.
    pub escalation_step: usize,
    /// Who was told, when, through what, and with which answer.
    pub deliveries: Vec<DeliveryRecord>,
}

/// One delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DeliveryRecord {
    /// When it was settled, in milliseconds since the epoch.
    pub at: i64,
    /// Who was told.
    pub receiver: String,
    /// Through which address: `webhook`, or `webhook/1`.
    pub destination: String,
    /// What was said.
    pub status: Status,
    /// Why it was said then.
    pub reason: Reason,
    /// Attempts that it took.
    pub attempts: u32,
    /// How it ended.
    pub outcome: DeliveryOutcome,
}

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "result")]
pub enum DeliveryOutcome {
    /// The peer accepted it.
    Accepted {
        /// What it said.
        answer: String,
    },
    /// It was given up.
    Failed {
        /// The class of the failure, as in the metrics.
        reason: String,
        /// What went wrong.
        error: String,
    },
}

impl HistoryRecord {
    pub(super) fn new(id: u64, fingerprint: u64, alert: &Alert) -> Self {
        Self {
            id,
            fingerprint,
            rule: alert.name().to_owned(),
            severity: alert.severity().unwrap_or_default(),
            labels: saved::pairs(&alert.labels),
            annotations: alert.annotations.clone(),
            starts_at: alert.starts_at,
            ends_at: None,
            acknowledged_at: None,
            acknowledged_by: None,
            acknowledge_comment: None,
            escalation_step: 0,
            deliveries: Vec::new(),
        }
    }
}
