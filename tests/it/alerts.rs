//! Alerts of a whole observatory, under a clock that the test owns.
#![cfg(feature = "alerting")]

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use llm_observatory::{
    AlertsError, ChannelConfig, Config, Inference, InferenceEnd, ManualClock, Model, Observatory,
    Outcome,
    alerting::{
        AcknowledgeTarget, AlertRule, AlertState, Channel, Escalation, GroupStatus, HistoryQuery,
        Message, Notifier, NotifyFuture, Receipt, Receiver, RecordingRule, Routing, RuleGroup,
        Severity, SilenceRequest, Status,
    },
    query::engine::Value,
};
use tracing_subscriber::prelude::*;

/// A channel that keeps what it is told.
#[derive(Clone, Debug, Default)]
struct Mailbox(Arc<Mutex<Vec<Message>>>);

impl Notifier for Mailbox {
    fn notify<'a>(&'a self, message: &'a Message) -> NotifyFuture<'a> {
        self.0.lock().unwrap().push(message.clone());
        Box::pin(async { Ok(Receipt::new("kept")) })
    }
}

impl Mailbox {
    fn titles(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(Message::title).collect()
    }
}

struct Watched {
    observatory: Observatory,
    clock: ManualClock,
    mailbox: Mailbox,
    layer: Option<llm_observatory::ObservatoryLayer<tracing_subscriber::Registry>>,
}

fn watched(config: Config) -> Watched {
    let clock = ManualClock::new();
    let mailbox = Mailbox::default();
    let (layer, observatory) = Observatory::builder(config.without_server())
        .clock(clock.clock())
        .channel("mailbox", Channel::new(mailbox.clone()))
        .build()
        .unwrap();
    Watched {
        observatory,
        clock,
        mailbox,
        layer: Some(layer),
    }
}

/// The default configuration without its console, so that all are told through the mailbox.
fn quiet() -> Config {
    let mut config = Config::default();
    config.alerting.channels.clear();
    config
}

impl Watched {
    /// Moves the clock by ten seconds, the tick, and waits until that was noticed and all that follows is done.
    fn tick(&self) {
        self.clock.advance(Duration::from_secs(10));
        let now = self.clock.clock().wall();
        self.until("a tick", || {
            let age = "time() - timestamp(observatory_build_info)";
            match self.observatory.query(age, now).unwrap().value {
                Value::Vector(samples) => samples.first().is_some_and(|s| s.point.value == 0.0),
                _ => false,
            }
        });
        // The rounds of evaluation and delivery of this moment: both look every few milliseconds.
        std::thread::sleep(Duration::from_millis(12));
    }

    fn pass(&self, time: Duration) {
        for _ in 0..time.as_secs() / 10 {
            self.tick();
        }
    }

    fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let patience = Instant::now() + Duration::from_secs(20);
        while !is_so() {
            assert!(
                Instant::now() < patience,
                "{what} did not come; told so far: {:?}",
                self.mailbox.titles()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn infer(&self, outcome: Outcome, count: usize) {
        for _ in 0..count {
            self.observatory.record_inference(Inference {
                model: Model::new("gpt-4o", "chat", "vllm"),
                end: InferenceEnd {
                    outcome,
                    ..InferenceEnd::default()
                },
                ..Inference::default()
            });
        }
    }

    fn state_of(&self, rule: &str) -> Option<AlertState> {
        let active = self.observatory.alerts().active();
        let found = active
            .iter()
            .find(|alert| alert.labels.get("alertname") == Some(rule));
        found.map(|alert| alert.state)
    }
}

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
    assert_eq!(message.common_labels["model_id"], "gpt-4o");
    let summary = &message.common_annotations["summary"];
    assert!(summary.contains("50"), "{summary}");
    assert!(message.common_annotations["runbook_url"].contains("model_inference_failures"));
    // The failures leave the window of five minutes; nobody is paged again meanwhile.
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

#[test]
fn a_rule_in_code_is_added_switched_and_removed_while_others_run() {
    let watched = watched(quiet());
    let alerts = watched.observatory.alerts();
    let gauge = watched.observatory.recorder();
    metrics::with_local_recorder(&gauge, || {
        metrics::gauge!("daily_tokens").set(1_500.0);
        metrics::gauge!("token_limit").set(1_000.0);
    });
    let rule = AlertRule::new("token_limit_exceeded")
        .severity(Severity::Critical)
        .when(|metrics| metrics.value("daily_tokens") > metrics.value("token_limit"))
        .channels(["mailbox"]);
    alerts.add_rule(rule).unwrap();
    watched.pass(Duration::from_secs(20));
    assert_eq!(
        watched.state_of("token_limit_exceeded"),
        Some(AlertState::Firing)
    );
    alerts.set_enabled("token_limit_exceeded", false).unwrap();
    assert_eq!(watched.state_of("token_limit_exceeded"), None);
    alerts.set_enabled("token_limit_exceeded", true).unwrap();
    watched.pass(Duration::from_secs(20));
    assert_eq!(
        watched.state_of("token_limit_exceeded"),
        Some(AlertState::Firing)
    );
    alerts.remove_rule("token_limit_exceeded").unwrap();
    assert!(matches!(
        alerts.remove_rule("token_limit_exceeded"),
        Err(AlertsError::UnknownRule(_))
    ));
    let error = alerts
        .add_rule(AlertRule::new("x").expr("up").channels(["pager"]))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("pager") && error.contains("mailbox"),
        "{error}"
    );
    let error = alerts
        .add_rule(AlertRule::new("x").expr("rate(up[9h]"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains('x') && error.contains("rate(up[9h]"),
        "{error}"
    );
    let error = alerts
        .add_rule(AlertRule::new("x").expr("rate(up[9h])"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("query.retention"), "{error}");
}

#[test]
fn events_raise_and_take_back_alerts() {
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
    // Longer than an alert holds good that nobody speaks of again.
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
fn nobody_acknowledges_so_it_escalates_and_an_acknowledgement_ends_that() {
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
    // The end is told all the same.
    alerts.remove_rule("always").unwrap();
    watched.pass(Duration::from_mins(6));
    watched.until("the all-clear", || watched.mailbox.titles().len() == 3);
    assert_eq!(
        watched.mailbox.0.lock().unwrap().last().unwrap().status,
        Status::Resolved
    );
}

#[test]
fn a_silence_keeps_what_it_matches_from_being_told() {
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
fn a_rule_that_fails_or_panics_is_its_own_error_and_no_others() {
    let watched = watched(quiet());
    let alerts = watched.observatory.alerts();
    alerts
        .add_rule(AlertRule::new("panics").when(|_| panic!("no such thing")))
        .unwrap();
    alerts
        .add_rule(AlertRule::new("hangs").when(|_| {
            std::thread::sleep(Duration::from_hours(1));
            true
        }))
        .unwrap();
    alerts
        .add_rule(AlertRule::new("fires").expr("vector(1)"))
        .unwrap();
    watched.pass(Duration::from_secs(20));
    assert_eq!(watched.state_of("fires"), Some(AlertState::Firing));
    let groups = alerts.rules();
    let rules = groups.iter().flat_map(|group| &group.rules);
    let panics = rules.clone().find(|rule| rule.name == "panics").unwrap();
    assert_eq!(panics.health, "err");
    let error = panics.last_error.as_deref().unwrap();
    assert!(error.contains("no such thing"), "{error}");
    let hangs = rules.clone().find(|rule| rule.name == "hangs").unwrap();
    let error = hangs.last_error.as_deref().unwrap();
    assert!(error.contains("has not returned"), "{error}");
    assert!(alerts.status().failing_rules >= 2);
}

#[test]
fn what_fires_after_a_stop_and_a_start_is_told() {
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
fn a_rule_of_the_configuration_fires_on_after_a_restart() {
    let folder = std::env::temp_dir().join(format!("llm-observatory-rule-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let clock = ManualClock::new();
    let build = |mailbox: &Mailbox| {
        let config = quiet()
            .with_rule(AlertRule::new("always").expr("vector(1)"))
            .with_data_dir(&folder);
        let (layer, observatory) = Observatory::builder(config.without_server())
            .clock(clock.clock())
            .channel("mailbox", Channel::new(mailbox.clone()))
            .build()
            .unwrap();
        Watched {
            observatory,
            clock: clock.clone(),
            mailbox: mailbox.clone(),
            layer: Some(layer),
        }
    };
    let mailbox = Mailbox::default();
    let first = build(&mailbox);
    first.pass(Duration::from_mins(1));
    first.until("a page", || mailbox.titles().len() == 1);
    first.observatory.shutdown_blocking();
    drop(first);
    let second = build(&mailbox);
    second.pass(Duration::from_mins(6));
    assert_eq!(second.state_of("always"), Some(AlertState::Firing));
    assert_eq!(mailbox.titles().len(), 1, "{:?}", mailbox.titles());
    drop(second);
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn a_tree_that_names_a_channel_without_its_address_tells_the_others() {
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
    // One that there is not is an error all the same; where nothing is told, it is none.
    let build = |config: Config| {
        Observatory::builder(config.without_server()).build::<tracing_subscriber::Registry>()
    };
    let error = build(config("slakc")).unwrap_err().to_string();
    assert!(error.contains("slakc"), "{error}");
    build(config("slakc").without_alerting()).unwrap();
}

#[test]
fn firing_state_survives_a_restart_on_disk() {
    let folder = std::env::temp_dir().join(format!("llm-observatory-it-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let rules = folder.join("rules.yml");
    std::fs::write(
        &rules,
        "groups: [{name: g, interval: 10s, rules: [{alert: Up, expr: vector(1)}]}]",
    )
    .unwrap();
    let config = || {
        quiet()
            .with_rule_file(&rules)
            .with_data_dir(folder.join("data"))
    };
    let first = watched(config());
    first.pass(Duration::from_mins(1));
    first.until("a page", || first.mailbox.titles().len() == 1);
    // A second one cannot have the same folder, and says so.
    let locked = Observatory::builder(config().without_server())
        .build::<tracing_subscriber::Registry>()
        .unwrap_err();
    let data = folder.join("data").display().to_string();
    assert!(locked.to_string().contains(&data), "{locked}");
    let clock = first.clock.clone();
    first.observatory.shutdown_blocking();
    // What is shut down has let go of the folder, whoever still has a clone.
    let _clone = first.observatory.clone();
    let mailbox = Mailbox::default();
    let (_layer, observatory) = Observatory::builder(config().without_server())
        .clock(clock.clock())
        .channel("mailbox", Channel::new(mailbox.clone()))
        .build::<tracing_subscriber::Registry>()
        .unwrap();
    let second = Watched {
        observatory,
        clock,
        mailbox,
        layer: None,
    };
    assert_eq!(second.state_of("Up"), Some(AlertState::Firing));
    second.pass(Duration::from_mins(6));
    assert!(second.mailbox.titles().is_empty(), "nobody is told twice");
    drop(second);
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn a_rule_whose_alerts_can_go_nowhere_changes_nothing() {
    let watched = watched(quiet());
    let alerts = watched.observatory.alerts();
    let rule = AlertRule::new("always").expr("vector(1)");
    alerts.add_rule(rule.clone().channels(["mailbox"])).unwrap();
    watched.pass(Duration::from_mins(1));
    watched.until("a page", || watched.mailbox.titles().len() == 1);
    let never = Escalation::after(Duration::ZERO).with_step(["mailbox"]);
    let error = alerts
        .add_rule(rule.channels(["mailbox"]).escalation(never))
        .unwrap_err();
    assert!(matches!(error, AlertsError::Routing(_)), "{error}");
    // The rule is as it was, and so is its alert.
    let of_it = |groups: Vec<GroupStatus>| {
        let rules = groups.into_iter().flat_map(|group| group.rules);
        rules.filter(|rule| rule.name == "always").count()
    };
    assert_eq!(of_it(alerts.rules()), 1);
    watched.pass(Duration::from_mins(6));
    assert_eq!(watched.state_of("always"), Some(AlertState::Firing));
    assert_eq!(watched.mailbox.titles().len(), 1);
}

#[test]
fn groups_are_loaded_and_unloaded_by_name() {
    let recorded = |name: &str, value: &str| {
        RuleGroup::new("g")
            .interval(Duration::from_secs(10))
            .rule(RecordingRule::new("a:b", "vector(7)"))
            .rule(AlertRule::new(name).expr(format!("a:b > {value}")))
    };
    let of_configuration = AlertRule::new("configured").expr("vector(1)");
    let watched = watched(quiet().with_rule_groups([RuleGroup::new("c").rule(of_configuration)]));
    let alerts = watched.observatory.alerts();
    alerts
        .load_groups("mine", vec![recorded("high", "5")])
        .unwrap();
    watched.pass(Duration::from_secs(30));
    assert_eq!(watched.state_of("high"), Some(AlertState::Firing));
    assert_eq!(watched.state_of("configured"), Some(AlertState::Firing));
    // Another of the same name takes its place.
    alerts
        .load_groups("mine", vec![recorded("higher", "9")])
        .unwrap();
    assert_eq!(watched.state_of("high"), None);
    alerts.unload("mine").unwrap();
    alerts.unload("configuration").unwrap();
    assert_eq!(watched.state_of("configured"), None);
    for (name, groups) in [
        ("code", vec![recorded("x", "1")]),
        ("bad", vec![recorded("x", ")")]),
    ] {
        alerts.load_groups(name, groups).unwrap_err();
    }
    let error = alerts.unload("bad").unwrap_err().to_string();
    assert!(error.contains("\"bad\""), "{error}");
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
    // What it was raised by takes it back.
    assert_eq!(alerts.resolve(&long, &[(&names[3], &long)]), 1);
}
