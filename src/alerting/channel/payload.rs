//! Writes the body of Alertmanager's webhook, and the body that Alertmanager's API accepts.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde::Serialize;

use super::{Message, MessageStatus};
use crate::alerting::Alert;

/// Go's zero time: the end of an alert that fires.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Alertmanager's webhook body, version 4.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'m> {
    receiver: &'m str,
    status: MessageStatus,
    alerts: Vec<BodyAlert<'m>>,
    group_labels: &'m BTreeMap<String, String>,
    common_labels: &'m BTreeMap<String, String>,
    common_annotations: &'m BTreeMap<String, String>,
    #[serde(rename = "externalURL")]
    external_url: &'m str,
    version: &'static str,
    group_key: &'m str,
    truncated_alerts: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BodyAlert<'m> {
    status: MessageStatus,
    labels: BTreeMap<&'m str, &'m str>,
    annotations: &'m BTreeMap<String, String>,
    starts_at: String,
    ends_at: Cow<'static, str>,
    #[serde(rename = "generatorURL")]
    generator_url: &'m str,
    fingerprint: String,
}

/// An alert as `POST /api/v2/alerts` accepts it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PostedAlert<'a> {
    labels: BTreeMap<&'a str, &'a str>,
    annotations: &'a BTreeMap<String, String>,
    starts_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<String>,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
}

/// The webhook's body.
pub(super) fn webhook(message: &Message) -> Result<Vec<u8>, serde_json::Error> {
    let alerts = message.alerts.iter().map(|alert| BodyAlert {
        status: alert.status,
        labels: labels(&alert.alert),
        annotations: &alert.alert.annotations,
        starts_at: time(alert.alert.starts_at),
        ends_at: match alert.status {
            MessageStatus::Firing => Cow::Borrowed(NEVER),
            MessageStatus::Resolved => Cow::Owned(time(alert.alert.ends_at)),
        },
        generator_url: &alert.alert.generator_url,
        fingerprint: format!("{:016x}", alert.fingerprint),
    });
    serde_json::to_vec(&Body {
        receiver: &message.receiver,
        status: message.status,
        alerts: alerts.collect(),
        group_labels: &message.group_labels,
        common_labels: &message.common_labels,
        common_annotations: &message.common_annotations,
        external_url: &message.external_url,
        version: "4",
        group_key: &message.group_key,
        truncated_alerts: message.truncated_alerts,
    })
}

/// The body for an Alertmanager's API.
pub(super) fn posted(alerts: &[Arc<Alert>]) -> Result<Vec<u8>, serde_json::Error> {
    let alerts: Vec<PostedAlert<'_>> = alerts
        .iter()
        .map(|alert| PostedAlert {
            labels: labels(alert),
            annotations: &alert.annotations,
            starts_at: time(alert.starts_at),
            // An alert without an end resolves after Alertmanager's `resolve_timeout`.
            ends_at: (alert.ends_at != i64::MAX).then(|| time(alert.ends_at)),
            generator_url: &alert.generator_url,
        })
        .collect();
    serde_json::to_vec(&alerts)
}

/// RFC 3339 in UTC, as Go writes it.
pub(super) fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| NEVER.to_owned(), |time| time.to_string())
}

fn labels(alert: &Alert) -> BTreeMap<&str, &str> {
    let labels = alert.labels.iter();
    labels.map(|label| (label.name(), label.value())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{alerting::MessageAlert, query::Labels};

    const START: i64 = 1_795_462_834_028;

    fn message(status: MessageStatus) -> Message {
        let alerts = ["gpt-3.5-turbo", "llama-7b"].map(|model| {
            let labels = [
                ("alertname", "HighErrorRate"),
                ("component", "router"),
                ("model_id", model),
                ("severity", "critical"),
            ];
            let mut alert = Alert::new(Labels::from_pairs(labels), START);
            alert
                .annotations
                .insert("summary".to_owned(), "Error rate > 5%".to_owned());
            alert.generator_url = "http://127.0.0.1:9090/alerts/high_error_rate".to_owned();
            if status == MessageStatus::Resolved {
                alert.ends_at = START + 50_000;
            }
            MessageAlert::new(Arc::new(alert), status)
        });
        let key = "{}:{alertname=\"HighErrorRate\", component=\"router\"}";
        let mut message = Message::new("all", key).with_alerts(alerts.to_vec());
        message.group_labels = message.common_labels.clone();
        message.group_labels.remove("severity");
        message.external_url = "http://alertmanager.example:9093".to_owned();
        message
    }

    /// Removes the times, and the texts that only the rule of the fixtures writes.
    fn without_times(mut body: Value) -> Value {
        for alert in body["alerts"].as_array_mut().unwrap() {
            alert["annotations"]
                .as_object_mut()
                .unwrap()
                .remove("description");
            alert["startsAt"] = Value::Null;
            if alert["endsAt"] != NEVER {
                alert["endsAt"] = Value::Null;
            }
            alert["generatorURL"] = Value::Null;
        }
        body
    }

    /// Captured from Alertmanager 0.25, cut to one of the two alerts.
    const FIRING: &str = r#"{"receiver":"all","status":"firing","alerts":[
        {"status":"firing","labels":{"alertname":"HighErrorRate","component":"router","model_id":"gpt-3.5-turbo",
         "severity":"critical"},"annotations":{"summary":"Error rate > 5%"},"startsAt":"2026-11-23T19:40:34.028277537Z",
         "endsAt":"0001-01-01T00:00:00Z","generatorURL":"","fingerprint":"da88a38f0beaa1b4"},
        {"status":"firing","labels":{"alertname":"HighErrorRate","component":"router","model_id":"llama-7b",
         "severity":"critical"},"annotations":{"summary":"Error rate > 5%"},"startsAt":"2026-11-23T19:40:34.028277537Z",
         "endsAt":"0001-01-01T00:00:00Z","generatorURL":"","fingerprint":"75b4f220281f30d4"}],
        "groupLabels":{"alertname":"HighErrorRate","component":"router"},
        "commonLabels":{"alertname":"HighErrorRate","component":"router","severity":"critical"},
        "commonAnnotations":{"summary":"Error rate > 5%"},"externalURL":"http://alertmanager.example:9093",
        "version":"4","groupKey":"{}:{alertname=\"HighErrorRate\", component=\"router\"}","truncatedAlerts":0}"#;

    #[test]
    fn the_webhooks_body_is_alertmanagers() {
        let ours =
            serde_json::from_slice(&webhook(&message(MessageStatus::Firing)).unwrap()).unwrap();
        let theirs = serde_json::from_str(FIRING).unwrap();
        assert_eq!(without_times(ours), without_times(theirs));
    }

    #[test]
    fn a_resolved_alert_has_its_end() {
        let body: Value =
            serde_json::from_slice(&webhook(&message(MessageStatus::Resolved)).unwrap()).unwrap();
        assert_eq!(body["status"], "resolved");
        assert_eq!(body["alerts"][0]["startsAt"], "2026-11-23T19:40:34.028Z");
        assert_eq!(body["alerts"][0]["endsAt"], "2026-11-23T19:41:24.028Z");
    }

    #[test]
    fn an_alert_without_an_end_leaves_it_to_alertmanager() {
        let alert = Alert::new(Labels::from_pairs([("alertname", "a")]), START);
        let body: Value = serde_json::from_slice(&posted(&[Arc::new(alert)]).unwrap()).unwrap();
        assert_eq!(body[0].get("endsAt"), None);
        assert_eq!(body[0]["labels"]["alertname"], "a");
    }
}
