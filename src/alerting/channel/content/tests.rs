use std::sync::Arc;

use super::*;
use crate::{alerting::Alert, query::Labels};

pub(in super::super) const START: i64 = 1_795_462_834_028;

/// The group of `reference/payloads`: two alerts of one rule.
pub(in super::super) fn reference(status: MessageStatus) -> Message {
    let details = [
        ("gpt-3.5-turbo", "Error rate is 12.3% over 5m"),
        ("llama-7b", "Error rate is 7.0% over 5m"),
    ];
    let alerts = details.map(|(model, description)| {
        let labels = [
            ("alertname", "HighErrorRate"),
            ("component", "router"),
            ("model_id", model),
            ("severity", "critical"),
        ];
        let mut alert = Alert::new(Labels::from_pairs(labels), START);
        let mut annotate = |name: &str, text: &str| {
            alert.annotations.insert(name.to_owned(), text.to_owned());
        };
        annotate("summary", "Error rate > 5%");
        if status == MessageStatus::Firing {
            annotate("description", description);
            alert.generator_url = "http://127.0.0.1:9090/alerts/high_error_rate".to_owned();
        } else {
            alert.ends_at = START + 50_000;
        }
        MessageAlert::new(Arc::new(alert), status)
    });
    let key = "{}:{alertname=\"HighErrorRate\", component=\"router\"}";
    let mut message = Message::new("all", key).with_alerts(alerts.to_vec());
    message.group_labels = message.common_labels.clone();
    message.group_labels.remove("severity");
    message.external_url = "http://alertmanager.example:9093".to_owned();
    if status == MessageStatus::Resolved {
        message.reason = Reason::AllResolved;
    }
    message
}

/// One alert whose every text is somebody's attack.
pub(in super::super) fn hostile() -> Message {
    let labels = [
        ("alertname", "Evil\r\nBcc: everyone@example.com"),
        ("component", "<!channel> & <script>alert(1)</script>"),
        ("model_id", "\"quoted\" 'single' `code` *bold*"),
        ("tenant", "\u{202e}gpj.exe שלום"),
        ("severity", "critical"),
    ];
    let huge = "🔥<&>\"".repeat(1 << 18);
    let mut labels: Vec<(String, String)> = labels
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
    labels.push(("huge".to_owned(), huge.clone()));
    let mut alert = Alert::new(Labels::from_pairs(labels), START);
    for (name, text) in [
        ("summary", "<img src=x onerror=alert(1)>\r\n.\r\nQUIT\r\n"),
        ("description", huge.as_str()),
        ("runbook_url", "javascript:alert(1)"),
        ("dashboard_url", "https://example.com/\"><script>|x"),
        ("other", huge.as_str()),
    ] {
        alert.annotations.insert(name.to_owned(), text.to_owned());
    }
    let alert = MessageAlert::new(Arc::new(alert), MessageStatus::Firing);
    Message::new("all", "{}:{}").with_alerts(vec![alert])
}

/// Many alerts with long texts.
pub(in super::super) fn storm(count: usize) -> Message {
    let alerts = (0..count).map(|number| {
        let labels = [
            ("alertname".to_owned(), "Slow".to_owned()),
            (
                "instance".to_owned(),
                format!("{number}{}", "i".repeat(500)),
            ),
            ("severity".to_owned(), "error".to_owned()),
        ];
        let mut alert = Alert::new(Labels::from_pairs(labels), START);
        let description = format!("{number}\n{}", "<&>".repeat(2_000));
        alert
            .annotations
            .insert("description".to_owned(), description);
        MessageAlert::new(Arc::new(alert), MessageStatus::Firing)
    });
    Message::new("all", "{}:{}").with_alerts(alerts.collect())
}

#[test]
fn what_alerts_share_is_said_once() {
    let content = Content::new(&reference(MessageStatus::Firing), 10);
    assert_eq!(content.title, "[FIRING:2] HighErrorRate (critical)");
    assert_eq!(
        (content.reason.as_str(), content.summary.as_str()),
        ("", "Error rate > 5%")
    );
    assert_eq!(content.labels.len(), 1);
    assert_eq!(content.labels[0].name, "component");
    let first = &content.alerts[0];
    assert_eq!(first.when, "since 2026-11-23 19:40:34 UTC");
    assert_eq!(first.labels[0].value, "gpt-3.5-turbo");
    assert_eq!(
        (first.summary.as_str(), first.description.as_str()),
        ("", "Error rate is 12.3% over 5m")
    );
    let labels: Vec<&str> = content.links.iter().map(|link| link.label).collect();
    assert_eq!(labels, ["Dashboard", "Query"]);
}

#[test]
fn what_is_left_out_is_counted() {
    let content = Content::new(&storm(30), 10);
    assert_eq!((content.alerts.len(), content.more), (10, 20));
}

#[test]
fn a_hostile_alert_is_short_and_has_no_line_of_its_own() {
    let content = Content::new(&hostile(), 10);
    assert_eq!(
        content.title,
        "[FIRING:1] Evil  Bcc: everyone@example.com (critical)"
    );
    let text = serde_json::to_string(&content).unwrap();
    assert!(text.len() < 20_000, "{}", text.len());
    assert!(
        !text.contains("\\r") && !text.contains('\u{202e}'),
        "{text}"
    );
    let urls: Vec<&str> = content.links.iter().map(|link| link.url.as_str()).collect();
    assert_eq!(urls, ["https://example.com/%22%3E%3Cscript%3E%7Cx"]);
}

#[test]
fn the_reason_is_a_sentence() {
    let mut message = reference(MessageStatus::Firing);
    let mut check = |reason: Reason, expected: &str| {
        message.reason = reason;
        assert_eq!(Content::new(&message, 1).reason, expected);
    };
    check(Reason::Repeat, "Still firing.");
    check(Reason::Escalation, "Not acknowledged: escalation step 0.");
    let by = |comment: &str| Reason::Acknowledged {
        by: "Ada".to_owned(),
        comment: comment.to_owned(),
    };
    check(by("on it"), "Acknowledged by Ada: on it");
    check(by(""), "Acknowledged by Ada.");
    let channel = "slack".to_owned();
    check(
        Reason::Fallback { channel },
        "Sent here because slack could not deliver it.",
    );
    check(Reason::Test, "This is a test.");
}
