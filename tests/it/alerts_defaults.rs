//! Tests the default rules on the observatory's own metrics.
#![cfg(feature = "alerting")]

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use llm_observatory::{
    CacheOperation, HttpRequest, Inference, InferenceEnd, Model, Outcome,
    alerting::{
        AlertState, AlertStatus, Channel, FailureClass, HistoryQuery, Message, MessageStatus,
        Notifier, NotifyError, NotifyFuture, Receipt,
    },
};

use super::alerts_support::{Mailbox, quiet, watched, watched_through};

#[test]
fn a_default_rule_fires_after_its_time_pages_once_and_resolves() {
    let watched = watched(quiet());
    watched.tick();
    watched.infer(Outcome::Success, 50);
    watched.infer(Outcome::Error, 50);
    watched.tick();
    watched.pass(Duration::from_secs(20));
    assert_eq!(
        watched.state_of("model_inference_failures"),
        Some(AlertState::Pending)
    );
    assert!(watched.mailbox.titles().is_empty());
    watched.pass(Duration::from_mins(1));
    assert_eq!(
        watched.state_of("model_inference_failures"),
        Some(AlertState::Firing)
    );
    watched.pass(Duration::from_secs(40));
    let title = "[FIRING:1] model_inference_failures (critical)";
    watched.until("a page", || {
        watched.mailbox.titles().contains(&title.to_owned())
    });
    let message = watched.mailbox.0.lock().unwrap()[0].clone();
    assert_eq!(message.title(), title, "{:?}", watched.mailbox.titles());
    assert_eq!(message.common_labels["model_id"], "gpt-4o");
    let summary = &message.common_annotations["summary"];
    assert!(summary.contains("50"), "{summary}");
    // The failures leave the window of five minutes without another page.
    watched.pass(Duration::from_mins(12));
    watched.until("the all-clear", || {
        watched
            .mailbox
            .titles()
            .contains(&"[RESOLVED] model_inference_failures (critical)".to_owned())
    });
    let about_failures = watched.mailbox.titles();
    let about_failures = about_failures
        .iter()
        .filter(|title| title.contains("model_inference_failures"));
    assert_eq!(about_failures.count(), 2, "{:?}", watched.mailbox.titles());
    let history = watched
        .observatory
        .alerts()
        .history(&HistoryQuery::default());
    let record = history
        .iter()
        .find(|record| record.rule == "model_inference_failures")
        .unwrap();
    assert!(record.ends_at.is_some());
    assert_eq!(record.deliveries.len(), 2);
}

/// All failures happen at once, and stop. The series of each rule are recorded as in production, except for memory and
/// spans, which belong to separate components.
#[test]
fn every_default_rule_fires_after_its_time_and_resolves() {
    let mut config = quiet().with_series_limit(20);
    // A file stands where the data directory should be.
    let blocked = std::env::temp_dir().join(format!("llm-observatory-data-{}", std::process::id()));
    std::fs::write(&blocked, "").unwrap();
    config.alerting.data_dir = Some(blocked.clone());
    // The sampler would overwrite the memory with the real values.
    config.health.enabled = false;
    let mailbox = Breakable::default();
    let watched = watched_through(config, Channel::new(mailbox.clone()), Mailbox::default());
    mailbox.is_broken.store(true, Ordering::Relaxed);
    let memory = |used: f64| {
        metrics::with_local_recorder(&watched.observatory.recorder(), || {
            let bytes =
                |of: &'static str| metrics::gauge!("llm_router_memory_usage_bytes", "type" => of);
            bytes("system_used").set(used);
            bytes("system_total").set(1e9);
        });
    };
    let spans = || {
        metrics::with_local_recorder(&watched.observatory.recorder(), || {
            metrics::counter!("observatory_spans_total", "exporter" => "otlp", "result" => "failed").increment(1);
        });
    };
    let go_wrong = |round: usize| {
        for number in 0..20 {
            watched.observatory.record_http_request(HttpRequest {
                method: "POST",
                route: "/v1/chat/completions",
                status_code: Some(if number % 2 == 0 { 503 } else { 200 }),
                duration: Duration::from_secs(9),
                ..HttpRequest::default()
            });
            watched.observatory.record_inference(Inference {
                model: Model::new("gpt-4o", "chat", "vllm"),
                end: InferenceEnd {
                    outcome: if number % 2 == 0 {
                        Outcome::Error
                    } else {
                        Outcome::Success
                    },
                    time_to_first_token: Some(Duration::from_secs(40)),
                    ..InferenceEnd::default()
                },
                ..Inference::default()
            });
            let cache = format!("cache-{round}-{number}");
            watched.observatory.record_cache_operation(CacheOperation {
                cache_type: &cache,
                ..CacheOperation::default()
            });
        }
        memory(0.95e9);
        spans();
    };
    // Twice the longest `for` and its window.
    let mut pending = BTreeSet::new();
    for round in 0..45 {
        go_wrong(round);
        watched.tick();
        let active = watched.observatory.alerts().active();
        let is_pending = |alert: &&AlertStatus| alert.state == AlertState::Pending;
        pending.extend(active.iter().filter(is_pending).map(rule_of));
    }
    let expected = [
        "alert_store_degraded",
        "exporter_failing",
        "high_error_rate",
        "high_memory_usage",
        "model_inference_failures",
        "notifications_failing",
        "performance_degradation",
        "series_overflow",
        "slow_first_token",
    ];
    let firing = || -> Vec<String> {
        let active = watched.observatory.alerts().active();
        let fires = active
            .iter()
            .filter(|alert| alert.state == AlertState::Firing);
        fires
            .map(rule_of)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    };
    assert_eq!(firing(), expected);
    assert_eq!(
        pending.into_iter().collect::<Vec<_>>(),
        expected,
        "each waits for its `for`"
    );
    // The channel works again, so that all alerts are notified; then all failures stop, and the windows pass.
    mailbox.is_broken.store(false, Ordering::Relaxed);
    for round in 45..80 {
        go_wrong(round);
        watched.tick();
    }
    memory(0.2e9);
    std::fs::remove_file(&blocked).unwrap();
    watched.pass(Duration::from_mins(20));
    assert_eq!(firing(), [""; 0]);
    let resolved = mailbox.resolved.lock().unwrap();
    let told: BTreeSet<&str> = resolved.iter().map(String::as_str).collect();
    assert_eq!(told.into_iter().collect::<Vec<_>>(), expected);
    assert!(!watched.observatory.alerts().status().is_store_degraded);
    drop(watched);
    std::fs::remove_dir_all(&blocked).unwrap();
}

fn rule_of(alert: &AlertStatus) -> String {
    alert.labels.get("alertname").unwrap().to_owned()
}

/// A channel that fails while it is broken, and records the resolved alerts.
#[derive(Clone, Debug, Default)]
struct Breakable {
    is_broken: Arc<AtomicBool>,
    resolved: Arc<Mutex<Vec<String>>>,
}

impl Notifier for Breakable {
    fn notify<'a>(&'a self, message: &'a Message) -> NotifyFuture<'a> {
        let is_broken = self.is_broken.load(Ordering::Relaxed);
        if message.status == MessageStatus::Resolved && !is_broken {
            let names = message.alerts.iter().map(|alert| &alert.alert.labels);
            let names = names.map(|labels| labels.get("alertname").unwrap().to_owned());
            self.resolved.lock().unwrap().extend(names);
        }
        Box::pin(async move {
            if is_broken {
                return Err(NotifyError::new(FailureClass::ClientError, "broken"));
            }
            Ok(Receipt::new("kept"))
        })
    }
}
