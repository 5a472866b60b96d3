//! Defines the records of the history.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    alerting::{Alert, MessageStatus, Reason, Severity, alert::label_map},
    query::Labels,
    runtime::unix_ms::{UnixMs, shift_ms},
};

/// The rule of the record of a step of the wall clock.
pub(super) const CLOCK_STEP: &str = "clock_step";

/// A period in which an alert fired, with its notifications.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HistoryRecord {
    /// The id of the record; later records have greater ids.
    pub id: u64,
    /// The hash of the label set; 16 hexadecimal digits in JSON.
    #[serde(with = "crate::alerting::alert::hex")]
    pub fingerprint: u64,
    /// The name of the rule: the label `alertname`.
    pub rule: String,
    /// The label `severity`; `warning` if its value is not a known severity.
    pub severity: Severity,
    /// The labels of the alert.
    pub labels: BTreeMap<String, String>,
    /// The annotations at the start of the alert.
    pub annotations: BTreeMap<String, String>,
    /// The start of the alert, in milliseconds since the epoch.
    pub starts_at: i64,
    /// The time at which the alert was resolved; `None` while it fires.
    pub ends_at: Option<i64>,
    /// The time of the first acknowledgement.
    pub acknowledged_at: Option<i64>,
    /// The name of the person who acknowledged first.
    pub acknowledged_by: Option<String>,
    /// The comment of the first acknowledgement.
    pub acknowledge_comment: Option<String>,
    /// The number of escalations.
    pub escalation_step: usize,
    /// The deliveries of the alert's notifications.
    pub deliveries: Vec<DeliveryRecord>,
}

/// The delivery of a notification to one address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DeliveryRecord {
    /// The time of the result, in milliseconds since the epoch.
    pub at: i64,
    /// The receiver.
    pub receiver: String,
    /// The address: `webhook`, or `webhook/1`.
    pub destination: String,
    /// The status of the message.
    pub status: MessageStatus,
    /// The reason for the notification.
    pub reason: Reason,
    /// The number of attempts.
    pub attempts: u32,
    /// The result of the delivery.
    pub outcome: DeliveryOutcome,
}

/// The result of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "result")]
pub enum DeliveryOutcome {
    /// The remote service accepted the notification.
    Accepted {
        /// The answer of the remote service.
        answer: String,
    },
    /// All attempts failed.
    Failed {
        /// The class of the failure, as in the metrics.
        reason: String,
        /// The text of the last error.
        error: String,
    },
}

impl HistoryRecord {
    /// Creates the record of a step of the wall clock at `before`; the record starts and ends at the time after the step.
    pub(super) fn clock_step(id: u64, by_ms: i64, before: UnixMs) -> Self {
        let mut now = before;
        now.shift(by_ms);
        let labels = [("alertname", CLOCK_STEP), ("severity", "info")];
        let mut alert = Alert::new(Labels::from_pairs(labels), now.as_i64());
        let summary = format!("the wall clock stepped by {:+.3} s", by_ms as f64 / 1e3);
        alert.annotations.insert("summary".to_owned(), summary);
        Self {
            ends_at: Some(now.as_i64()),
            ..Self::new(id, alert.fingerprint(), &alert)
        }
    }

    /// Moves the record by a step of the wall clock.
    pub(super) fn shift(&mut self, by_ms: i64) {
        shift_ms(&mut self.starts_at, by_ms);
        let acknowledged_at = self.acknowledged_at.iter_mut();
        let deliveries = self.deliveries.iter_mut().map(|delivery| &mut delivery.at);
        for time in acknowledged_at.chain(deliveries) {
            shift_ms(time, by_ms);
        }
    }

    pub(super) fn new(id: u64, fingerprint: u64, alert: &Alert) -> Self {
        Self {
            id,
            fingerprint,
            rule: alert.name().to_owned(),
            severity: alert.severity().unwrap_or_default(),
            labels: label_map(&alert.labels),
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
