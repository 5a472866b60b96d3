//! Tests alerts in a whole observatory: their receivers and the times of notifications.
#![cfg(feature = "alerting")]

use super::alerts_support::{quiet, watched};
use std::time::Duration;

use llm_observatory::{
    Config, Observatory,
    alerting::{
        AcknowledgeTarget, AlertRule, AlertState, ChannelConfig, Escalation, MessageStatus,
        Receiver, Routing, Severity, SilenceRequest,
    },
};
use tracing_subscriber::prelude::*;

#[test]
fn events_raise_and_resolve_alerts() {
    let mut watched = watched(quiet());
    watched.tick();
    let dispatch =
        tracing::Dispatch::new(tracing_subscriber::registry().with(watched.layer.take().unwrap()));
    tracing::dispatcher::with_default(&dispatch, || {
        tracing::warn!(
            alert.rule = "disk_failing",
            alert.severity = "error",
            disk.name = "sda",
            "reallocated sectors: {}",
            17
        );
    });
    watched.until("the alert", || watched.state_of("disk_failing").is_some());
    let active = watched.observatory.alerts().active();
    let alert = active
        .iter()
        .find(|alert| alert.labels.get("alertname") == Some("disk_failing"))
        .unwrap();
    assert_eq!(alert.labels.get("disk_name"), Some("sda"));
    assert_eq!(alert.labels.get("severity"), Some("error"));
    assert_eq!(alert.annotations["summary"], "reallocated sectors: 17");
    watched.pass(Duration::from_secs(40));
    watched.until("a page", || {
        watched.mailbox.titles() == ["[FIRING:1] disk_failing (error)"]
    });
    let alerts = watched.observatory.alerts();
    assert_eq!(alerts.resolve("disk_failing", &[("disk.name", "sdb")]), 0);
    // Longer than a raised alert lives without being raised again.
    watched.pass(Duration::from_mins(6));
    assert_eq!(watched.mailbox.titles().len(), 1);
    tracing::dispatcher::with_default(&dispatch, || {
        tracing::info!(alert.resolve = "disk_failing", disk.name = "sda");
    });
    watched.pass(Duration::from_mins(6));
    watched.until("the all-clear", || {
        watched.mailbox.titles().last().map(String::as_str)
            == Some("[RESOLVED] disk_failing (error)")
    });
}

#[test]
fn the_text_of_an_alert_is_redacted() {
    let mut config = quiet();
    config.alerting.rules = vec![
        AlertRule::new("account_in_trouble")
            .expr("trouble > 0")
            .annotation("summary", "{{ $labels.account }} is in trouble"),
    ];
    let mut watched = watched(config);
    watched.tick();
    let layer = watched.layer.take().unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        tracing::warn!(
            alert.rule = "login_failed",
            account = "ann@example.org",
            card = 4_111_111_111_111_111_i64,
            "ann@example.org with token: abcdef0123456789"
        );
    });
    let alerts = watched.observatory.alerts();
    let labels = [("account", "bob@example.org"), ("prompt", "s3cret")];
    let message = "key sk-abcdef0123456789";
    alerts
        .trigger("by_hand", Severity::Error, message, &labels)
        .unwrap();
    let recorder = watched.observatory.recorder();
    metrics::with_local_recorder(&recorder, || {
        metrics::gauge!("trouble", "account" => "eve@example.org").set(1.0);
    });
    watched.pass(Duration::from_secs(40));
    for rule in ["login_failed", "by_hand", "account_in_trouble"] {
        watched.until(rule, || watched.state_of(rule).is_some());
    }
    watched.pass(Duration::from_secs(40));
    watched.until("pages", || watched.mailbox.titles().len() >= 3);
    let active = alerts.active();
    let said = |name: &str| {
        let of_name = |alert: &&_| -> bool {
            let alert: &llm_observatory::alerting::AlertStatus = alert;
            alert.labels.get("alertname") == Some(name)
        };
        active.iter().find(of_name).unwrap().annotations["summary"].clone()
    };
    assert_eq!(said("login_failed"), "[masked] with token: [masked]");
    assert_eq!(said("by_hand"), "key [masked]");
    assert_eq!(said("account_in_trouble"), "[masked] is in trouble");
    // The labels are found by their original values, and alerts whose redacted labels look alike stay distinct.
    let others = [("account", "eve@example.org"), ("prompt", "s3cret")];
    alerts
        .trigger("by_hand", Severity::Error, message, &others)
        .unwrap();
    assert_eq!(alerts.resolve("by_hand", &labels), 1);
    assert_eq!(alerts.resolve("by_hand", &labels), 0);
    assert_eq!(alerts.resolve("by_hand", &others), 1);
    let history = alerts.history(&llm_observatory::alerting::HistoryQuery::default());
    let all = format!("{active:?} {history:?}");
    for secret in ["ann@", "bob@", "41111", "abcdef", "s3cret"] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}

/// Returns the trace annotations of an alert that an event raised inside a span, and the span's trace id.
#[cfg(feature = "otlp")]
fn traced(
    ratio: f64,
    template: Option<&str>,
    is_entered: bool,
) -> (Option<String>, Option<String>, String) {
    let mut traces = llm_observatory::TracesConfig::default();
    traces.exporters.clear();
    let mut config = quiet().with_traces(traces).with_sampling_ratio(ratio);
    config.alerting.trace_url = template.map(str::to_owned);
    let mut watched = watched(config);
    let layer = watched.layer.take().unwrap();
    let subscriber = tracing_subscriber::registry().with(layer);
    let trace = tracing::subscriber::with_default(subscriber, || {
        let outer = tracing::info_span!("outer");
        let inner = tracing::info_span!(parent: &outer, "inner");
        if is_entered {
            let _entered = (outer.enter(), inner.enter());
            tracing::warn!(alert.rule = "disk_failing", "slow");
        } else {
            tracing::warn!(parent: &inner, alert.rule = "disk_failing", "slow");
        }
        let mut headers = http::HeaderMap::new();
        let format = llm_observatory::Propagator::TraceContext;
        llm_observatory::propagation::inject(&outer, &mut headers, &[format]);
        let parent = headers["traceparent"].to_str().unwrap();
        parent.split('-').nth(1).unwrap().to_owned()
    });
    watched.until("the alert", || watched.state_of("disk_failing").is_some());
    let active = watched.observatory.alerts().active();
    let annotation = |name: &str| active[0].annotations.get(name).cloned();
    (annotation("trace_id"), annotation("trace_url"), trace)
}

#[cfg(feature = "otlp")]
#[test]
fn an_alert_that_an_event_raises_inside_a_sampled_span_names_its_trace() {
    let template = Some("http://jaeger:16686/trace/{trace_id}?a={trace_id}");
    for is_entered in [true, false] {
        let (id, url, trace) = traced(1.0, template, is_entered);
        assert_eq!(id.as_ref(), Some(&trace));
        let expected = format!("http://jaeger:16686/trace/{trace}?a={trace}");
        assert_eq!(url, Some(expected));
        let (id, url, trace) = traced(1.0, None, is_entered);
        assert_eq!((id, url), (Some(trace), None));
        let (id, url, _) = traced(0.0, template, is_entered);
        assert_eq!((id, url), (None, None));
    }
}

/// Returns the trace id that the message about a rule names, and the ids of three inferences: a failed one, a later
/// successful one, and a slow one of another model.
#[cfg(feature = "otlp")]
fn named_by(rule: AlertRule) -> (String, [String; 3]) {
    let mut traces = llm_observatory::TracesConfig::default();
    traces.exporters.clear();
    let mut config = quiet().with_traces(traces).with_sampling_ratio(1.0);
    config.alerting.trace_url = Some("http://jaeger/trace/{trace_id}".to_owned());
    let mut watched = watched(config);
    let layer = watched.layer.take().unwrap();
    watched.observatory.alerts().add_rule(rule).unwrap();
    watched.tick();
    let infer = |(model_id, status, seconds)| {
        let span = tracing::info_span!("inference", model_id, status);
        let _entered = span.enter();
        watched.clock.advance(Duration::from_secs(seconds));
        let mut headers = http::HeaderMap::new();
        let format = llm_observatory::Propagator::TraceContext;
        llm_observatory::propagation::inject(&span, &mut headers, &[format]);
        headers["traceparent"].to_str().unwrap()[3..35].to_owned()
    };
    let subscriber = tracing_subscriber::registry().with(layer);
    let inferences = [
        ("gpt-4o", "error", 0),
        ("gpt-4o", "success", 1),
        ("llama", "success", 7),
    ];
    let traces = tracing::subscriber::with_default(subscriber, || inferences.map(infer));
    watched.pass(Duration::from_secs(90));
    watched.tick_until("the message", || !watched.mailbox.titles().is_empty());
    let messages = watched.mailbox.0.lock().unwrap();
    let annotations = &messages[0].alerts[0].alert.annotations;
    let trace = annotations["trace_id"].clone();
    let url = format!("http://jaeger/trace/{trace}");
    assert_eq!(annotations["trace_url"], url);
    (trace, traces)
}

#[cfg(feature = "otlp")]
#[test]
fn an_alert_of_a_rule_names_the_most_relevant_trace_behind_it() {
    let errors =
        r#"sum by (model_id) (rate(llm_router_model_inference_total{status="error"}[5m])) > 0"#;
    let (trace, [failed, ..]) = named_by(AlertRule::new("errors").expr(errors));
    assert_eq!(trace, failed);
    // Over all models, the slowest inference; for one model, its own slowest inference.
    let slow = "histogram_quantile(0.9, sum by (le) (rate(llm_router_model_inference_duration_seconds_bucket[5m]))) > 0";
    let (trace, [.., slowest]) = named_by(AlertRule::new("slow").expr(slow));
    assert_eq!(trace, slowest);
    let mean =
        "sum by (model_id) (increase(llm_router_model_inference_duration_seconds_sum[5m]) > 0) < 5";
    let (trace, [_, own, _]) = named_by(AlertRule::new("mean").expr(mean));
    assert_eq!(trace, own);
}

#[test]
fn an_alert_escalates_until_it_is_acknowledged() {
    let watched = watched(quiet());
    let alerts = watched.observatory.alerts();
    let rule = AlertRule::new("always")
        .severity(Severity::Warning)
        .expr("vector(1)")
        .channels(["mailbox"])
        .escalation(Escalation::after(Duration::from_mins(2)).repeating());
    alerts.add_rule(rule).unwrap();
    watched.pass(Duration::from_mins(4));
    watched.until("an escalation", || watched.mailbox.titles().len() == 2);
    assert_eq!(
        watched.mailbox.titles(),
        ["[FIRING:1] always (warning)", "[FIRING:1] always (error)"]
    );
    let all = AcknowledgeTarget::Alerts(vec![llm_observatory::query::Matcher::equal(
        "alertname",
        "always",
    )]);
    assert_eq!(alerts.acknowledge(&all, "me", "on it").unwrap().len(), 1);
    watched.pass(Duration::from_mins(10));
    assert_eq!(watched.mailbox.titles().len(), 2);
    assert!(alerts.groups()[0].acknowledgement.is_some());
    // The resolved notification is still sent.
    alerts.remove_rule("always").unwrap();
    watched.pass(Duration::from_mins(6));
    watched.until("the all-clear", || watched.mailbox.titles().len() == 3);
    assert_eq!(
        watched.mailbox.0.lock().unwrap().last().unwrap().status,
        MessageStatus::Resolved
    );
}

#[test]
fn a_silence_suppresses_the_alerts_that_it_matches() {
    let watched = watched(quiet());
    let alerts = watched.observatory.alerts();
    let until = watched.clock.clock().wall() + Duration::from_hours(1);
    let until = until
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis() as i64;
    let silence = SilenceRequest::until(until, "alertname=always").because("me", "maintenance");
    let id = alerts.silence(silence).unwrap();
    alerts
        .add_rule(AlertRule::new("always").expr("vector(1)"))
        .unwrap();
    watched.pass(Duration::from_mins(2));
    assert!(watched.mailbox.titles().is_empty());
    assert_eq!(watched.state_of("always"), Some(AlertState::Firing));
    alerts.expire_silence(&id).unwrap();
    watched.pass(Duration::from_mins(6));
    watched.until("a page", || watched.mailbox.titles().len() == 1);
}

#[test]
fn an_alert_that_fires_after_a_restart_is_notified() {
    let watched = watched(quiet());
    watched.tick();
    watched.observatory.shutdown_blocking();
    watched.observatory.start().unwrap();
    let alerts = watched.observatory.alerts();
    alerts.trigger("again", Severity::Error, "", &[]).unwrap();
    watched.pass(Duration::from_secs(40));
    watched.until("a page", || {
        watched.mailbox.titles() == ["[FIRING:1] again (error)"]
    });
}

#[test]
fn a_route_to_a_channel_without_an_address_does_not_affect_other_routes() {
    let slack = llm_observatory::alerting::SlackOptions::default();
    let tree = |channel: &str| Routing::to_receiver(Receiver::new("people", [channel, "mailbox"]));
    let config = |channel| {
        quiet()
            .with_channel("slack", ChannelConfig::slack(slack.clone()))
            .with_routing(tree(channel))
    };
    let watched = watched(config("slack"));
    let alerts = watched.observatory.alerts();
    alerts.trigger("x", None, "", &[]).unwrap();
    watched.pass(Duration::from_mins(1));
    watched.until("a page", || watched.mailbox.titles().len() == 1);
    // An unknown channel is still an error, except if alerting is disabled.
    let build = |config: Config| {
        Observatory::builder(config.without_server()).build::<tracing_subscriber::Registry>()
    };
    let error = build(config("slakc")).unwrap_err().to_string();
    assert!(error.contains("slakc"), "{error}");
    drop(build(config("slakc").without_alerting()).unwrap());
}

#[test]
fn a_raised_alert_is_bounded_whatever_is_passed() {
    let watched = watched(quiet());
    let alerts = watched.observatory.alerts();
    let long = "é".repeat(1_000_000);
    let names: Vec<String> = (0..100).map(|number| format!("label{number}")).collect();
    let labels: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &*long)).collect();
    alerts.trigger(&long, None, &long, &labels).unwrap();
    alerts.trigger(&long, None, &long, &labels).unwrap();
    let active = alerts.active();
    assert_eq!(active.len(), 1);
    let labels: Vec<_> = active[0].labels.iter().collect();
    assert_eq!(labels.len(), 34);
    assert!(labels.iter().all(|label| label.value().len() <= 1_024));
    assert!(active[0].annotations["summary"].len() <= 4_096);
    // The same name and labels resolve the alert.
    assert_eq!(alerts.resolve(&long, &[(&names[3], &long)]), 1);
}
