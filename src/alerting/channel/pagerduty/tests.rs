use std::time::Duration;

use serde_json::{Value, json};

use super::{
    super::content::tests::{hostile, reference, storm},
    *,
};
use crate::{
    ClientOptions,
    alerting::{Alert, MessageAlert, MessageStatus, Reason},
    query::Labels,
};

const KEY: &str = "R0123456789abcdef0123456789abcde";

fn options() -> PagerDutyOptions {
    PagerDutyOptions::new(KEY)
}

fn event(message: &Message, options: &PagerDutyOptions) -> Value {
    let templates =
        Templates::new("ops", &SLOTS, &options.templates, &options.template_files).unwrap();
    let body = compose::body(message, options, &templates.render(message)).unwrap();
    assert!(body.len() <= compose::MAX_EVENT_BYTES, "{}", body.len());
    serde_json::from_slice(&body).unwrap()
}

fn theirs(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The paths at which two values differ.
fn differences(path: &str, ours: &Value, theirs: &Value, found: &mut Vec<String>) {
    if let (Value::Object(a), Value::Object(b)) = (ours, theirs) {
        let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            differences(&format!("{path}.{name}"), &ours[name], &theirs[name], found);
        }
    } else if ours != theirs {
        found.push(path.trim_start_matches('.').to_owned());
    }
}

#[test]
fn a_trigger_differs_from_alertmanagers_only_where_it_says_more() {
    let ours = event(&reference(MessageStatus::Firing), &options());
    let theirs = theirs(include_str!(
        "../../../../tests/payloads/pagerduty_firing.json"
    ));
    let mut found = Vec::new();
    differences("", &ours, &theirs, &mut found);
    let expected = [
        "client",                          // Ours is the product's name.
        "client_url",        // Theirs is a page of Alertmanager's; ours the dashboard.
        "links",             // Theirs has none unless they are configured.
        "payload.class",     // Theirs is empty unless configured; ours is the rule.
        "payload.component", // The same; ours is the label.
        "payload.custom_details.receiver", // So that a rule of PagerDuty's can tell routes apart.
        "payload.severity",  // Theirs is `error` unless configured; ours is the alert's.
        "payload.source",    // Theirs is itself; the API asks for what is affected.
        "payload.summary", // Ours is the title and what is wrong, which is all that a phone reads out.
        "payload.timestamp", // Theirs has none: an event that comes late looks new.
        "routing_key",     // The fixture's has 33 characters; the API asks for 32.
    ];
    assert_eq!(found, expected);
    assert_eq!(
        ours["payload"]["summary"],
        "[FIRING:2] HighErrorRate (critical): Error rate > 5%"
    );
    assert_eq!(ours["payload"]["severity"], "critical");
    assert_eq!(ours["payload"]["timestamp"], "2026-11-23T19:40:34.028Z");
    assert_eq!(
        ours["links"],
        json!([
            {"href": "http://alertmanager.example:9093", "text": "Dashboard"},
            {"href": "http://127.0.0.1:9090/alerts/high_error_rate", "text": "Query"},
        ])
    );
}

#[test]
fn an_end_has_the_key_of_the_beginning_and_nothing_else() {
    let ours = event(&reference(MessageStatus::Resolved), &options());
    let theirs = theirs(include_str!(
        "../../../../tests/payloads/pagerduty_resolved.json"
    ));
    assert_eq!(ours["dedup_key"], theirs["dedup_key"]);
    assert_eq!(ours["event_action"], theirs["event_action"]);
    // Theirs sends payload and client along; the API reads neither from a resolve, and the official client sends none.
    let names: Vec<&String> = ours.as_object().unwrap().keys().collect();
    assert_eq!(names, ["dedup_key", "event_action", "routing_key"]);
    let mut message = reference(MessageStatus::Firing);
    message.reason = Reason::Acknowledged {
        by: "Ada".to_owned(),
        comment: String::new(),
    };
    let acknowledge = event(&message, &options());
    assert_eq!(acknowledge["event_action"], "acknowledge");
    assert_eq!(acknowledge["dedup_key"], ours["dedup_key"]);
}

#[test]
fn a_large_group_fits_and_says_what_is_left_out() {
    let storm = storm(1_000);
    let event = event(&storm, &options().with_max_alerts(1_000));
    let details = &event["payload"]["custom_details"];
    assert_eq!(details["num_firing"], "1000");
    let shown = details["firing"]
        .as_str()
        .unwrap()
        .matches("Labels:")
        .count();
    assert!(shown > 100, "{shown}");
    assert_eq!(details["num_left_out"], (1_000 - shown).to_string());
}

#[test]
fn a_hostile_alert_fits_and_forges_no_line() {
    let event = event(&hostile(), &options());
    let payload = &event["payload"];
    let length = |name: &str| payload[name].as_str().unwrap().chars().count();
    assert!(length("summary") <= 1_024);
    assert!(length("component") <= 255);
    assert_eq!(
        payload["summary"],
        "[FIRING:1] Evil  Bcc: everyone@example.com (critical): <img src=x onerror=alert(1)>  .  QUIT"
    );
    let firing = payload["custom_details"]["firing"].as_str().unwrap();
    assert!(firing.lines().all(|line| {
        ["Labels:", "Annotations:", "Source:", " - "]
            .iter()
            .any(|start| line.starts_with(start))
    }));
    assert!(!firing.contains('\u{202e}') && firing.contains("שלום"));
    // PagerDuty shows details as text, so that HTML is left as it is.
    assert!(firing.contains("<script>alert(1)</script>"));
    assert_eq!(
        event["links"][0]["href"],
        "https://example.com/%22%3E%3Cscript%3E%7Cx"
    );
    assert_eq!(event["links"].as_array().unwrap().len(), 1);
}

#[test]
fn a_template_of_any_length_fits() {
    let control = r#"{{ print "\u0001" "\"" "<🔥>" }}"#.repeat(9_000);
    let options = options()
        .with_template("summary", "{{ .CommonLabels.component }}\nx")
        .with_template("details", control);
    let event = event(&reference(MessageStatus::Firing), &options);
    assert_eq!(event["payload"]["summary"], "router x");
    let details = &event["payload"]["custom_details"];
    assert!(details["details"].as_str().unwrap().chars().count() <= 50_000);
    assert_eq!(details.get("firing"), None);
    let failing = self::options().with_template("summary", "{{ .Nothing.At.All }}");
    let event = self::event(&reference(MessageStatus::Firing), &failing);
    let details = &event["payload"]["custom_details"];
    let error = details["template_error"].as_str().unwrap();
    assert!(error.starts_with("A template failed: "), "{error}");
    assert_eq!(
        event["payload"]["summary"],
        "[FIRING:2] HighErrorRate (critical): Error rate > 5%"
    );
}

#[test]
fn an_alert_that_is_too_large_is_told_of_in_fewer_words() {
    let long = |number: usize, chars: usize| format!("{number:03}{}", "🔥".repeat(chars));
    let pairs = || (0..64).map(|number| (long(number, 300), long(number, 2_000)));
    let alerts = (0..2).map(|number| {
        let own = ("instance".to_owned(), format!("{number}"));
        let labels = pairs().skip(1).chain([own]).collect::<Vec<_>>();
        let mut alert = Alert::new(Labels::from_pairs(labels), 0);
        alert.annotations.extend(pairs());
        MessageAlert::new(Arc::new(alert), MessageStatus::Firing)
    });
    let message = Message::new("all", "{}:{}").with_alerts(alerts.collect());
    let event = event(&message, &options());
    let details = &event["payload"]["custom_details"];
    let firing = details["firing"].as_str().unwrap();
    assert_eq!(firing.matches("Labels:").count(), 1, "{}", firing.len());
    assert!(firing.contains(&"🔥".repeat(150)));
    assert_eq!(details["num_left_out"], "1");
}

#[test]
fn a_name_of_any_length_is_cut() {
    let event = event(
        &reference(MessageStatus::Firing),
        &options().with_client("ü".repeat(1 << 20)),
    );
    assert_eq!(event["client"].as_str().unwrap().chars().count(), 255);
}

#[test]
fn an_empty_summary_of_a_template_is_the_channels_own() {
    let options = options()
        .with_template("summary", "{{ .CommonLabels.absent }}")
        .with_template("details", "\n");
    let event = event(&reference(MessageStatus::Firing), &options);
    assert_eq!(
        event["payload"]["summary"],
        "[FIRING:2] HighErrorRate (critical): Error rate > 5%"
    );
    let details = &event["payload"]["custom_details"];
    let error = details["template_error"].as_str().unwrap();
    assert!(error.ends_with(" gave an empty text"), "{error}");
    assert!(details["firing"].as_str().unwrap().contains("llama-7b"));
}

/// A proxy that repeats what it is sent, in its answer's first line, with this status.
async fn echo(status: &'static str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v2/enqueue", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 8_192];
        let count = stream.read(&mut request).await.unwrap();
        let said = format!("{}{KEY}", "x".repeat(190));
        let body = format!("key {KEY}, {count} bytes\n");
        let body = if status.starts_with('2') { body } else { said };
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    url
}

#[tokio::test]
async fn a_key_that_a_peer_repeats_is_in_no_receipt_and_not_half_in_an_error() {
    let client = OutgoingClient::new(&ClientOptions::default()).unwrap();
    let notifier = async |status: &'static str| {
        let options = options().with_url(echo(status).await);
        options.build("ops", &client).unwrap().remove(0)
    };
    let message = reference(MessageStatus::Resolved);
    let accepted = notifier("202 Accepted").await.notify(&message).await;
    let answer = accepted.unwrap().answer;
    assert!(answer.starts_with("202 Accepted: key ***, "), "{answer}");
    let refused = notifier("400 Bad Request").await.notify(&message).await;
    let text = refused.unwrap_err().text;
    assert!(text.ends_with("x***") && !text.contains("R0"), "{text}");
}

#[test]
fn a_limit_is_waited_out_for_minutes() {
    let pagerduty = PagerDuty {
        options: options(),
        templates: Templates::default(),
        client: OutgoingClient::new(&ClientOptions::default()).unwrap(),
    };
    let wait = |class, asked: Option<u64>| {
        let error = NotifyError::new(class, "")
            .retryable()
            .after(asked.map(Duration::from_secs));
        pagerduty
            .with_rate_limit_wait(error)
            .retry_after
            .map(|wait| wait.as_secs())
    };
    assert_eq!(wait(FailureClass::RateLimited, None), Some(120));
    assert_eq!(wait(FailureClass::RateLimited, Some(5)), Some(120));
    assert_eq!(wait(FailureClass::RateLimited, Some(600)), Some(600));
    assert_eq!(wait(FailureClass::ServerError, Some(5)), Some(5));
}

#[test]
fn the_key_is_in_no_error_and_no_debug() {
    let client = OutgoingClient::new(&ClientOptions::default()).unwrap();
    let check = |options: PagerDutyOptions, expected: &str| {
        let error = options.build("ops", &client).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    };
    check(
        PagerDutyOptions::new("hunter2"),
        "channel \"ops\": routing_key: has 7 characters, but must be the 32 letters and digits",
    );
    check(
        PagerDutyOptions::new("hunter2 89abcdef0123456789abcdef"),
        "channel \"ops\": routing_key: has 32 characters, but must be",
    );
    check(
        options().with_url("events"),
        "channel \"ops\": url: must begin",
    );
    check(
        options().with_source(" "),
        "channel \"ops\": source: must not be empty",
    );
    let built = options().build("ops", &client).unwrap();
    assert!(!format!("{built:?}").contains(KEY));
}
