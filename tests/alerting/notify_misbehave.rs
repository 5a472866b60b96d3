//! Tests receivers that hang, reset, or answer 500, 429 and 400: the retries follow the table, and no other receiver
//! waits.

use std::{sync::Arc, time::Duration};

use axum::{http::StatusCode, response::IntoResponse as _};
use llm_observatory::alerting::{
    Channel, DeliveryOutcome, DispatchOptions, HistoryQuery, NotificationOptions, Receiver, Route,
    Routing, WebhookOptions,
};
use tokio::{io::AsyncReadExt as _, net::TcpListener};

use crate::notify_support::{Recorder, Running, alert, client, now_ms, webhook};

fn options(channels: &[&str]) -> NotificationOptions {
    let route = Route::to("all").with_group_by(["alertname"]).with_timing(
        Duration::from_millis(10),
        Duration::from_secs(4),
        Duration::from_hours(1),
    );
    let routing = Routing::to_receiver(Receiver::new("all", channels.iter().copied()));
    let dispatch = DispatchOptions::default().with_delivery_time(Duration::from_secs(3));
    NotificationOptions::new(routing.with_route(route)).with_dispatch(dispatch)
}

fn fire(running: &Running, rule: &str) {
    running
        .notifications
        .put(vec![alert(&[("alertname", rule)], now_ms(), true)]);
}

/// Starts a listener that accepts, reads a little, and then resets or hangs.
async fn raw(is_reset: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut some = [0; 16];
            let _ = stream.read(&mut some).await;
            if is_reset {
                // Unread bytes make the kernel answer with RST.
                drop(stream);
            } else {
                held.push(stream);
            }
        }
    });
    url
}

#[tokio::test]
async fn each_failure_follows_the_retry_table_and_a_second_receiver_does_not_wait() {
    let recorder = Recorder::answering(Arc::new(|request, before| match request.path.as_str() {
        "/busy" if before < 2 => (StatusCode::INTERNAL_SERVER_ERROR, "try later").into_response(),
        "/limited" if before == 0 => {
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "2")]).into_response()
        }
        "/wrong" => (StatusCode::BAD_REQUEST, "no such field\nsecond line").into_response(),
        "/denied" => StatusCode::UNAUTHORIZED.into_response(),
        _ => StatusCode::OK.into_response(),
    }))
    .await;
    let to = |path: &str| webhook(&[format!("{}{path}", recorder.url)]);
    let running = Running::start(
        options(&[
            "hang", "reset", "closed", "busy", "limited", "wrong", "denied", "well",
        ]),
        vec![
            ("hang", webhook(&[raw(false).await])),
            ("reset", webhook(&[raw(true).await])),
            ("closed", webhook(&["http://127.0.0.1:9/token".to_owned()])),
            ("busy", to("/busy")),
            ("limited", to("/limited")),
            ("wrong", to("/wrong")),
            ("denied", to("/denied")),
            ("well", to("/well")),
        ],
    );
    let begin = std::time::Instant::now();
    fire(&running, "slow");
    recorder
        .until("the well one", |all| all.iter().any(|r| r.path == "/well"))
        .await;
    let took = recorder.at("/well")[0].at - begin;
    assert!(took < Duration::from_millis(500), "{took:?}");
    recorder
        .until("the busy one's third", |all| {
            all.iter().filter(|r| r.path == "/busy").count() == 3
        })
        .await;
    recorder
        .until("the limited one's second", |all| {
            all.iter().filter(|r| r.path == "/limited").count() == 2
        })
        .await;
    let limited = recorder.at("/limited");
    let waited = limited[1].at - limited[0].at;
    assert!(waited >= Duration::from_millis(1_990), "{waited:?}");
    // Not retried before the group's next flush.
    assert_eq!(recorder.at("/wrong").len(), 1);
    assert_eq!(recorder.at("/denied").len(), 1);
    // The deadline is the next flush, after four seconds.
    tokio::time::sleep(Duration::from_secs(6)).await;

    let record = &running.notifications.history(&HistoryQuery::default())[0];
    let outcome = |channel: &str| {
        let delivery = record
            .deliveries
            .iter()
            .find(|delivery| delivery.destination == channel);
        match &delivery
            .unwrap_or_else(|| panic!("{channel} is not settled: {record:?}"))
            .outcome
        {
            DeliveryOutcome::Accepted { answer } => format!("accepted {answer}"),
            DeliveryOutcome::Failed { reason, error } => format!("{reason} {error}"),
        }
    };
    assert_eq!(outcome("well"), "accepted 200 OK");
    assert_eq!(outcome("busy"), "accepted 200 OK");
    assert_eq!(outcome("limited"), "accepted 200 OK");
    assert_eq!(
        outcome("wrong"),
        "clientError 400 Bad Request: no such field"
    );
    assert_eq!(outcome("denied"), "authError 401 Unauthorized");
    assert!(
        outcome("hang").contains("no answer within 1s"),
        "{}",
        outcome("hang")
    );
    assert!(
        outcome("hang").starts_with("deadlineExceeded"),
        "{}",
        outcome("hang")
    );
    assert!(
        outcome("closed").contains("refused"),
        "{}",
        outcome("closed")
    );
    for channel in ["reset", "closed"] {
        assert!(
            outcome(channel).starts_with("other given up after"),
            "{}",
            outcome(channel)
        );
        assert!(!outcome(channel).contains("token"), "{}", outcome(channel));
    }
    running.stop().await;
}

#[tokio::test]
async fn the_destinations_of_a_channel_are_notified_independently_with_signatures() {
    let recorder = Recorder::start().await;
    let hook = WebhookOptions::new([raw(false).await, format!("{}/signed", recorder.url)])
        .with_header("authorization", "Bearer hunter2")
        .with_signing_key("key")
        .with_max_alerts(1);
    let channel = Channel::from_notifiers(hook.build("hook", &client()).unwrap());
    let running = Running::start(options(&["hook"]), vec![("hook", channel)]);
    let now = now_ms();
    running.notifications.put(vec![
        alert(&[("alertname", "slow"), ("instance", "a")], now, true),
        alert(&[("alertname", "slow"), ("instance", "b")], now, true),
    ]);
    recorder
        .until("the signed one", |all| !all.is_empty())
        .await;
    let request = &recorder.received()[0];
    assert_eq!(request.headers["authorization"], "Bearer hunter2");
    assert_eq!(request.body["truncatedAlerts"], 1);
    assert_eq!(request.body["alerts"].as_array().unwrap().len(), 1);
    let timestamp = request.headers["x-observatory-timestamp"].to_str().unwrap();
    let signed = [timestamp.as_bytes(), b".", &request.raw].concat();
    let expected = openssl_hmac("key", &signed);
    let signature = request.headers["x-observatory-signature"].to_str().unwrap();
    if let Some(expected) = expected {
        assert_eq!(signature, format!("sha256={expected}"));
    }
    assert_eq!(request.headers["x-observatory-dedup-key"].len(), 64);
    running.stop().await;
}

/// Computes the signature with openssl as an independent oracle, if it is installed.
fn openssl_hmac(key: &str, bytes: &[u8]) -> Option<String> {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
    };
    let mut child = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", key, "-r"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(bytes).ok()?;
    let output = child.wait_with_output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().next().map(str::to_owned)
}
