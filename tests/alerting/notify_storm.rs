//! Tests 10,000 concurrent alerts through the store, the webhook and the history.

use std::time::{Duration, Instant};

use llm_observatory::alerting::{HistoryQuery, NotificationOptions, Receiver, Route, Routing};

use crate::notify_support::{Directory, Recorder, Running, alert, now_ms, webhook};

const ALERTS: usize = 10_000;

#[tokio::test]
async fn ten_thousand_alerts_are_one_message() {
    let recorder = Recorder::start().await;
    let directory = Directory::new("storm");
    let route = Route::to("all").with_group_by(["alertname"]).with_timing(
        Duration::from_millis(100),
        Duration::from_mins(5),
        Duration::from_hours(4),
    );
    let routing = Routing::to_receiver(Receiver::new("all", ["hook"])).with_route(route);
    let options = NotificationOptions::new(routing).with_data_dir(directory.path());
    let channel = webhook(&[format!("{}/storm", recorder.url)]);
    let running = Running::start(options, vec![("hook", channel)]);
    let now = now_ms();
    let alerts = (0..ALERTS).map(|at| {
        let instance = at.to_string();
        alert(&[("alertname", "down"), ("instance", &instance)], now, true)
    });
    let alerts = alerts.collect();
    let begin = Instant::now();
    running.notifications.put(alerts);
    recorder.until("the message", |all| !all.is_empty()).await;
    let took = recorder.received()[0].at - begin;
    eprintln!("{ALERTS} alerts, written and sent after {took:?}, a group wait of 100 ms included");
    assert_eq!(
        recorder.received()[0].body["alerts"]
            .as_array()
            .unwrap()
            .len(),
        ALERTS
    );
    assert_eq!(running.notifications.groups().len(), 1);
    running.stop().await;
    assert_eq!(recorder.received().len(), 1);
    let size = std::fs::metadata(directory.path().join("alerting.redb"))
        .unwrap()
        .len();
    eprintln!("the store has {} MiB", size >> 20);
}

#[tokio::test]
async fn the_history_holds_all_of_them() {
    let routing = Routing::to_receiver(Receiver::new("none", Vec::<String>::new()));
    let running = Running::start(NotificationOptions::new(routing), Vec::new());
    let now = now_ms();
    let alerts = (0..ALERTS + 5).map(|at| {
        let instance = at.to_string();
        alert(&[("alertname", "down"), ("instance", &instance)], now, true)
    });
    running.notifications.put(alerts.collect());
    let statistics = running.notifications.statistics();
    assert_eq!((statistics.total, statistics.active), (ALERTS, ALERTS + 5));
    let mut query = HistoryQuery::default();
    query.limit = 3;
    assert_eq!(running.notifications.history(&query).len(), 3);
    running.stop().await;
}
