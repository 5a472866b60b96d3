//! Sends the same alerts at the same times through a real Alertmanager and through our dispatcher, and compares the
//! messages.

use std::time::Duration;

use llm_observatory::{
    Secret,
    alerting::{
        AlertmanagerPeer, Channel, ChannelTraits, DispatchOptions, NotificationOptions, Routing,
        SilenceRequest, WebhookOptions,
    },
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::notify_support::{
    Alertmanager, Named, Recorder, Running, alert, client, free_port, now_ms,
};

/// The routes of both sides; the receivers differ.
const ROUTES: &str = "
route:
  receiver: all
  group_by: [alertname]
  group_wait: 1s
  group_interval: 2s
  repeat_interval: 5s
  routes:
    - { matchers: ['severity=\"critical\"'], receiver: pages, continue: true }
    - { matchers: ['alertname=~\"crit|slow\"'], receiver: tickets, group_by: ['...'], continue: true }
    - { matchers: ['alertname=slow'], receiver: all }
    - { matchers: ['alertname=muted'], receiver: pages, mute_time_intervals: [always] }
inhibit_rules:
  - { source_matchers: ['alertname=down'], target_matchers: ['alertname=slow'], equal: [zone] }
time_intervals:
  - { name: always, time_intervals: [{ months: ['1:12'] }] }
";

type Step = (u64, &'static str, &'static [(&'static str, &'static str)]);

const A: &[(&str, &str)] = &[("alertname", "slow"), ("instance", "a"), ("zone", "1")];
const B: &[(&str, &str)] = &[("alertname", "slow"), ("instance", "b"), ("zone", "1")];
const D: &[(&str, &str)] = &[
    ("alertname", "slow"),
    ("instance", "d"),
    ("zone", "1"),
    ("job", "x"),
];
const Q: &[(&str, &str)] = &[("alertname", "slow"), ("instance", "q"), ("zone", "1")];
const C: &[(&str, &str)] = &[
    ("alertname", "crit"),
    ("instance", "c"),
    ("severity", "critical"),
];
const S: &[(&str, &str)] = &[("alertname", "short"), ("instance", "s")];
const X: &[(&str, &str)] = &[("alertname", "down"), ("instance", "x"), ("zone", "1")];
const M: &[(&str, &str)] = &[("alertname", "muted"), ("instance", "m")];

const SCRIPT: &[Step] = &[
    (0, "fire", A),
    (0, "fire", B),
    (0, "fire", C),
    (0, "fire", S),
    (0, "fire", Q),
    (0, "fire", M),
    (500, "resolve", S),
    (1_600, "fire", D),
    (3_600, "resolve", B),
    (3_600, "resolve", C),
    (5_600, "fire", X),
    (7_600, "resolve", X),
];

const END_MS: u64 = 12_300;

#[tokio::test]
async fn the_same_alerts_become_the_same_messages() {
    let recorder = Recorder::start().await;
    let url = |side: &str, receiver: &str| format!("{}/{side}/{receiver}", recorder.url);
    let theirs = |receiver: &str, send_resolved: bool| {
        format!(
            "  - {{ name: {receiver}, webhook_configs: [{{ url: '{}', send_resolved: {send_resolved} }}] }}\n",
            url("theirs", receiver)
        )
    };
    let config = format!(
        "{ROUTES}receivers:\n{}{}{}",
        theirs("all", true),
        theirs("pages", true),
        theirs("tickets", false)
    );
    let Some(alertmanager) = Alertmanager::start(
        &config,
        free_port(),
        &["--cluster.listen-address=".to_owned()],
    )
    .await
    else {
        return;
    };

    let receivers = "receivers:\n  - { name: all, channels: [all] }\n  - { name: pages, channels: [pages] }\n  - { name: tickets, channels: [tickets] }\n";
    let routing: Routing = serde_saphyr::from_str(&format!("{ROUTES}{receivers}")).unwrap();
    let dispatch = DispatchOptions::default()
        .with_damping(None)
        .with_external_url("http://observatory.example");
    let channel = |receiver: &str| {
        let hook = WebhookOptions::new([url("ours", receiver)]);
        Channel::from_notifiers(hook.build(receiver, &client()).unwrap())
    };
    let quiet = ChannelTraits::default().with_send_resolved(false);
    let running = Running::start(
        NotificationOptions::new(routing).with_dispatch(dispatch),
        vec![
            ("all", channel("all")),
            ("pages", channel("pages")),
            ("tickets", channel("tickets").with_traits(quiet)),
        ],
    );

    silence_both(&alertmanager, &running).await;
    let peer = Running::with_peers(
        NotificationOptions::new(Routing::to_receiver(
            llm_observatory::alerting::Receiver::new("none", Vec::<String>::new()),
        )),
        Vec::new(),
        vec![
            AlertmanagerPeer::new("am", &Secret::new(alertmanager.url.as_str()), client()).unwrap(),
        ],
    );
    let begin = Instant::now();
    let mut started = std::collections::BTreeMap::new();
    for (at, what, labels) in SCRIPT {
        sleep_until(begin + Duration::from_millis(*at)).await;
        let starts_at = *started.entry(labels).or_insert_with(now_ms);
        let mut alert = alert(labels, starts_at, true);
        if *what == "resolve" {
            alert.ends_at = now_ms();
        }
        peer.notifications.put(vec![alert.clone()]);
        running.notifications.put(vec![alert]);
    }
    sleep_until(begin + Duration::from_millis(END_MS)).await;
    running.stop().await;
    peer.stop().await;

    let (ours, theirs) = (messages(&recorder, "ours"), messages(&recorder, "theirs"));
    for (group, bodies) in &theirs {
        let statuses: Vec<_> = bodies.iter().map(summary).collect();
        eprintln!("{group}: {statuses:?}");
    }
    assert_eq!(summaries(&ours), summaries(&theirs));
    assert_eq!(ours, theirs);
    // The script must have exercised its cases.
    assert!(theirs.len() >= 6, "{:?}", theirs.keys());
}

async fn silence_both(alertmanager: &Alertmanager, running: &Running) {
    let until = now_ms() + 3_600_000;
    let request = SilenceRequest::until(until, "instance=q").because("ada", "known");
    running.notifications.set_silence(request).unwrap();
    let time = |ms: i64| jiff_time(ms);
    let body = json!({
        "matchers": [{ "name": "instance", "value": "q", "isRegex": false, "isEqual": true }],
        "startsAt": time(now_ms()), "endsAt": time(until), "createdBy": "ada", "comment": "known",
    });
    let url = format!("{}/api/v2/silences", alertmanager.url);
    let answer = reqwest::Client::new()
        .post(url)
        .json(&body)
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
}

fn jiff_time(ms: i64) -> String {
    let seconds = std::time::Duration::from_millis(u64::try_from(ms).unwrap());
    humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + seconds).to_string()
}

/// Returns the bodies by receiver and group, in their order, without their times.
fn messages(recorder: &Recorder, side: &str) -> Named {
    let mut messages = Named::new();
    for request in recorder.received() {
        if request.path.starts_with(&format!("/{side}/")) {
            let mut body = request.body;
            for alert in body["alerts"].as_array_mut().unwrap() {
                alert["startsAt"] = Value::Null;
                if alert["endsAt"] != "0001-01-01T00:00:00Z" {
                    alert["endsAt"] = Value::Null;
                }
            }
            let key = format!("{} {}", body["receiver"], body["groupKey"]);
            messages.entry(key).or_default().push(body);
        }
    }
    messages
}

fn summary(body: &Value) -> String {
    let alerts = body["alerts"].as_array().unwrap().iter();
    let alerts = alerts.map(|alert| format!("{}{}", alert["labels"]["instance"], alert["status"]));
    alerts.collect::<Vec<_>>().join(" ").replace('"', "")
}

fn summaries(messages: &Named) -> Vec<(String, Vec<String>)> {
    let groups = messages.iter();
    let groups = groups.map(|(key, bodies)| (key.clone(), bodies.iter().map(summary).collect()));
    groups.collect()
}
