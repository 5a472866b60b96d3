//! Tests `kill -9` during alerting: the store opens every time, and every firing alert reaches its receiver.

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{http::StatusCode, response::IntoResponse as _};
use llm_observatory::alerting::{DispatchOptions, NotificationOptions, Receiver, Route, Routing};
use rand::RngExt as _;

use crate::notify_support::{Directory, Process, Recorder, Running, alert, now_ms, webhook};

/// The variable with the child's task: `directory url firing resolved`, where the last two are numbers of alerts.
const TASK: &str = "OBSERVATORY_CRASH_TASK";
/// The number of kills at random moments.
const KILLS: u32 = 40;

/// The process that is killed; not a test by itself.
#[tokio::test]
#[ignore = "the crash tests start it"]
async fn child() {
    let Ok(task) = std::env::var(TASK) else {
        return;
    };
    let words: Vec<&str> = task.split(' ').collect();
    let (directory, url) = (words[0], words[1]);
    let (firing, resolved): (u32, u32) = (words[2].parse().unwrap(), words[3].parse().unwrap());
    let route = Route::to("all").with_group_by(["alertname"]).with_timing(
        Duration::from_millis(20),
        Duration::from_millis(300),
        Duration::from_hours(1),
    );
    let routing = Routing::to_receiver(Receiver::new("all", ["hook"])).with_route(route);
    let options = NotificationOptions::new(routing)
        .with_dispatch(DispatchOptions::default().without_damping())
        .with_data_dir(directory);
    let running = Running::start(options, vec![("hook", webhook(&[url.to_owned()]))]);
    // Like rules, the child repeats firing alerts.
    loop {
        let now = now_ms();
        let named = |at: u32| format!("crash_{at:04}");
        let alerts = (0..firing).map(|at| {
            let mut alert = alert(&[("alertname", named(at).as_str())], now, true);
            alert.starts_at = 1_700_000_000_000 + i64::from(at);
            if at < resolved {
                alert.ends_at = now;
            }
            alert
        });
        running.notifications.put(alerts.collect());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn spawn(directory: &Directory, recorder: &Recorder, firing: u32, resolved: u32) -> Process {
    let task = format!(
        "{} {}/hook {firing} {resolved}",
        directory.path().display(),
        recorder.url
    );
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "notify_crash::child", "--ignored", "--nocapture"])
        .env(TASK, task)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Process(child)
}

fn names(recorder: &Recorder, status: &str) -> BTreeSet<String> {
    let received = recorder.received();
    let alerts = received
        .iter()
        .filter_map(|request| request.body["alerts"].as_array().cloned());
    let alerts = alerts.flatten().filter(|alert| alert["status"] == status);
    alerts
        .map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn killed_at_random_moments_it_loses_no_alert_and_the_store_always_opens() {
    let recorder = Recorder::start().await;
    let directory = Directory::new("crash");
    let mut random = rand::rng();
    for kill in 1..=KILLS {
        let mut child = spawn(&directory, &recorder, kill, 0);
        let moment = random.random_range(5..250);
        tokio::time::sleep(Duration::from_millis(moment)).await;
        // A store that does not open ends the child before it is killed.
        let ended = child.0.try_wait().unwrap();
        assert!(
            ended.is_none(),
            "the child ended by itself at kill {kill}: {ended:?}"
        );
        child.kill();
    }
    let mut last = spawn(&directory, &recorder, KILLS, 0);
    let all: BTreeSet<String> = (0..KILLS).map(|at| format!("crash_{at:04}")).collect();
    recorder
        .until("every alert", |_| names(&recorder, "firing") == all)
        .await;
    last.kill();
    let aside = std::fs::read_dir(directory.path()).unwrap();
    let aside = aside.filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .contains("damaged")
    });
    assert_eq!(aside.count(), 0, "the store was damaged");

    // A process that has never sent the firing notification sends the resolved one to its receivers.
    let mut end = spawn(&directory, &recorder, KILLS, KILLS);
    recorder
        .until("every end", |_| names(&recorder, "resolved") == all)
        .await;
    end.kill();
    let messages = recorder.received().len();
    eprintln!(
        "{KILLS} kills: {messages} messages for {} alerts and their ends",
        all.len()
    );
}

#[tokio::test]
async fn stored_notifications_are_sent_after_a_kill_without_a_new_alert() {
    let is_well = Arc::new(AtomicBool::new(false));
    let well = Arc::clone(&is_well);
    let recorder = Recorder::answering(Arc::new(move |_, _| {
        if well.load(Ordering::Acquire) {
            StatusCode::OK.into_response()
        } else {
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }))
    .await;
    let directory = Directory::new("crash");
    let mut child = spawn(&directory, &recorder, 1, 0);
    recorder.until("an attempt", |all| !all.is_empty()).await;
    child.kill();
    is_well.store(true, Ordering::Release);
    let before = recorder.received().len();
    // No alert is put this time: only the outbox holds it.
    let mut child = spawn(&directory, &recorder, 0, 0);
    recorder
        .until("the outbox's message", |all| all.len() > before)
        .await;
    assert!(names(&recorder, "firing").contains("crash_0000"));
    child.kill();
}
