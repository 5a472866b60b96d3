//! Tests rules in a whole observatory: loading, changing, and restoring them after a restart.
#![cfg(feature = "alerting")]

use super::alerts_support::{Mailbox, Watched, quiet, watched};
use std::time::Duration;

use llm_observatory::{
    ManualClock, Observatory,
    alerting::{
        AlertRule, AlertState, AlertsError, Channel, Escalation, GroupStatus, RecordingRule,
        RuleGroup, Severity,
    },
};

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
fn a_rule_that_fails_or_panics_does_not_affect_other_rules() {
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
fn a_configured_rule_keeps_firing_after_a_restart() {
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
    // A second observatory cannot use the same directory, and its error says so.
    let locked = Observatory::builder(config().without_server())
        .build::<tracing_subscriber::Registry>()
        .unwrap_err();
    let data = folder.join("data").display().to_string();
    assert!(locked.to_string().contains(&data), "{locked}");
    let clock = first.clock.clone();
    first.observatory.shutdown_blocking();
    // A shutdown releases the directory, even if a clone of the observatory still exists.
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
fn a_rule_without_a_receiver_is_refused_and_changes_nothing() {
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
    // The rule and its alert are unchanged.
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
    // A group of the same name replaces the loaded group.
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
