//! Tests groups over a store: the alerts that are sent, and the series that are written, kept and ended.
#![allow(clippy::unwrap_used, reason = "a failing test panics")]

mod clock_steps;
mod restart;

use std::time::Duration;

use super::*;
use crate::alerting::{NoData, OnError, RecordingRule, RuleGroup};

const MINUTE: i64 = 60_000;

struct Bench {
    engine: Engine,
    store: SeriesStore,
    rules: RuleGroups,
}

impl Bench {
    fn new(groups: Vec<RuleGroup>) -> Self {
        let mut bench = Self {
            engine: Engine::default(),
            store: SeriesStore::default(),
            rules: RuleGroups::default(),
        };
        bench.load(groups, 0);
        bench
    }

    fn load(&mut self, groups: Vec<RuleGroup>, now: i64) -> Vec<Alert> {
        let source = Source::new(&self.engine, &self.store);
        self.rules.load("f", groups, &source, now).unwrap()
    }

    fn set(&self, name: &str, model: &str, now: i64, value: f64) {
        let labels = Labels::from_pairs([("__name__", name), ("model", model)]);
        self.store.append(&labels, now, value);
    }

    fn evaluate(&mut self, now: i64) -> Evaluation {
        self.rules
            .evaluate_all(&Source::new(&self.engine, &self.store), now)
    }

    /// Returns the samples of an expression, formatted as lines.
    fn query(&self, expr: &str, now: i64) -> Vec<String> {
        let result = self.engine.evaluate(&self.store, expr, now).unwrap();
        let crate::query::engine::Value::Vector(samples) = result.value else {
            panic!("no vector");
        };
        let mut lines: Vec<_> = samples
            .iter()
            .map(|s| format!("{} {}", s.labels, s.point.value))
            .collect();
        lines.sort();
        lines
    }
}

fn single_rule_group(rule: AlertRule) -> Vec<RuleGroup> {
    vec![RuleGroup::new("g").rule(rule)]
}

fn names(alerts: &[Alert], now: i64) -> Vec<String> {
    let state = |alert: &Alert| {
        if alert.is_resolved_at(now) {
            "resolved"
        } else {
            "firing"
        }
    };
    alerts
        .iter()
        .map(|a| format!("{} {}", a.labels.get("model").unwrap_or("-"), state(a)))
        .collect()
}

#[test]
fn an_alert_is_sent_when_it_fires_and_when_it_is_resolved() {
    let rule = AlertRule::new("A")
        .expr("load > 0.5")
        .hold_for(Duration::from_mins(1));
    let mut bench = Bench::new(single_rule_group(rule));
    bench.set("load", "x", 0, 0.9);
    assert_eq!(bench.evaluate(0).alerts, []);
    bench.set("load", "x", MINUTE, 0.9);
    let sent = bench.evaluate(MINUTE).alerts;
    assert_eq!(names(&sent, MINUTE), ["x firing"]);
    assert_eq!((sent[0].starts_at, sent[0].ends_at), (MINUTE, 5 * MINUTE));
    assert_eq!(sent[0].value, Some(0.9));
    assert_eq!(
        sent[0].generator_url,
        "/graph?g0.expr=load+%3E+0.5&g0.tab=1"
    );
    bench.set("load", "x", 2 * MINUTE, 0.1);
    let sent = bench.evaluate(2 * MINUTE).alerts;
    assert_eq!(names(&sent, 2 * MINUTE), ["x resolved"]);
    assert_eq!((sent[0].starts_at, sent[0].ends_at), (MINUTE, 2 * MINUTE));
}

#[test]
fn a_rule_sees_series_recorded_by_earlier_rules_and_vanished_series_become_stale() {
    let group = RuleGroup::new("g")
        .rule(RecordingRule::new("model:load", "load * 2").label("from", "rule"))
        .rule(AlertRule::new("A").expr("model:load > 1"));
    let mut bench = Bench::new(vec![group]);
    bench.set("load", "x", 0, 0.9);
    assert_eq!(names(&bench.evaluate(0).alerts, 0), ["x firing"]);
    let recorded = bench.query("model:load", 0);
    assert_eq!(
        recorded,
        [r#"{__name__="model:load", from="rule", model="x"} 1.8"#]
    );
    assert_eq!(bench.query("ALERTS", 0).len(), 1);
    let id = bench
        .store
        .register(&Labels::from_pairs([("__name__", "load"), ("model", "x")]));
    bench.store.mark_stale(id, 1000);
    bench.evaluate(2000);
    assert_eq!(
        bench.query("{__name__=~\"model:load|ALERTS.*\"}", 2000),
        [""; 0]
    );
}

#[test]
fn a_closure_sees_sums_and_a_comparison_with_a_missing_series_is_false() {
    let rule = AlertRule::new("A").when(|metrics| metrics.value("daily") > metrics.value("limit"));
    let mut bench = Bench::new(single_rule_group(rule));
    bench.set("daily", "x", 0, 60.0);
    bench.set("daily", "y", 0, 50.0);
    assert_eq!(bench.evaluate(0).alerts, []);
    bench.set("limit", "x", 1, 100.0);
    let sent = bench.evaluate(1).alerts;
    assert_eq!(names(&sent, 1), ["- firing"]);
    assert_eq!(sent[0].value, None);
}

#[test]
fn a_panicking_closure_or_an_invalid_query_fails_only_its_own_rule() {
    let group = RuleGroup::new("g")
        .rule(AlertRule::new("panics").when(|_| panic!("at the disco")))
        .rule(AlertRule::new("asks").when(|metrics| metrics.value("up ==") > 0.0))
        .rule(AlertRule::new("joins").expr("load / on () load"))
        .rule(AlertRule::new("works").expr("load"));
    let mut bench = Bench::new(vec![group]);
    bench.set("load", "x", 0, 1.0);
    bench.set("load", "y", 0, 1.0);
    let evaluation = bench.evaluate(0);
    assert_eq!(names(&evaluation.alerts, 0), ["x firing", "y firing"]);
    let failed: Vec<_> = evaluation
        .failures
        .iter()
        .map(|f| f.rule.as_str())
        .collect();
    assert_eq!(failed, ["panics", "asks", "joins"]);
    assert_eq!(
        evaluation.failures[0].error,
        "the closure panicked: at the disco"
    );
    let status = &bench.rules.status()[0].rules;
    assert_eq!(status[0].health, "err");
    assert_eq!((status[0].evaluations, status[0].failures), (1, 1));
    assert_eq!(status[3].health, "ok");
    assert!(
        status[2]
            .last_error
            .as_deref()
            .unwrap()
            .contains("many-to-many"),
        "{status:?}"
    );
}

#[test]
fn missing_data_is_handled_as_no_data_of_the_rule_sets() {
    let rule = |behaviour| AlertRule::new("A").expr("load > 0.5").no_data(behaviour);
    for (behaviour, expected) in [
        (NoData::Ok, "x resolved"),
        (NoData::Alert, "- firing, x resolved"),
        (NoData::KeepLast, "x firing"),
    ] {
        let mut bench = Bench::new(single_rule_group(rule(behaviour)));
        bench.set("load", "x", 0, 0.9);
        bench.evaluate(0);
        let later = 10 * MINUTE;
        let sent = bench.evaluate(later).alerts;
        assert_eq!(names(&sent, later).join(", "), expected, "{behaviour:?}");
        // Samples that do not meet the condition count as data.
        bench.set("load", "x", later + 1, 0.1);
        bench.evaluate(later + 1);
        assert_eq!(bench.rules.alerts(), [], "{behaviour:?}");
    }
    let reason = {
        let mut bench = Bench::new(single_rule_group(rule(NoData::Alert)));
        bench.evaluate(0).alerts[0].labels.to_string()
    };
    assert_eq!(reason, r#"{alert_reason="no_data", alertname="A"}"#);
    let mut bench = Bench::new(single_rule_group(
        rule(NoData::Alert).annotation("summary", "{{ $value }}"),
    ));
    assert_eq!(
        bench.evaluate(0).alerts[0].annotations["summary"],
        "A has no data"
    );
}

#[test]
fn a_failed_evaluation_is_handled_as_on_error_of_the_rule_sets() {
    for (behaviour, expected) in [
        (OnError::Ok, "x resolved"),
        (OnError::Alert, "- firing, x firing"),
        (OnError::KeepLast, "x firing"),
    ] {
        let rule = AlertRule::new("A")
            .expr("load * on (model) rate_limit")
            .on_error(behaviour);
        let mut bench = Bench::new(single_rule_group(rule));
        bench.set("load", "x", 0, 1.0);
        bench.set("rate_limit", "x", 0, 1.0);
        bench.evaluate(0);
        let twin = Labels::from_pairs([("__name__", "rate_limit"), ("model", "x"), ("twin", "1")]);
        bench.store.append(&twin, MINUTE, 1.0);
        let later = 2 * MINUTE;
        let evaluation = bench.evaluate(later);
        assert_eq!(evaluation.failures.len(), 1);
        assert_eq!(
            names(&evaluation.alerts, later).join(", "),
            expected,
            "{behaviour:?}"
        );
    }
}

#[test]
fn a_reload_keeps_the_alerts_of_unchanged_rules_and_resolves_those_of_removed_rules() {
    let rule = |name: &str| {
        AlertRule::new(name)
            .expr("load")
            .hold_for(Duration::from_mins(1))
    };
    let group = |names: &[&str]| vec![RuleGroup::new("g").rules(names.iter().map(|n| rule(n)))];
    let mut bench = Bench::new(group(&["A", "B"]));
    bench.set("load", "x", 0, 1.0);
    bench.evaluate(0);
    bench.evaluate(MINUTE);
    let resolved = bench.load(group(&["A", "C"]), MINUTE + 1);
    assert_eq!(names(&resolved, MINUTE + 1), ["x resolved"]);
    assert_eq!(resolved[0].name(), "B");
    bench.evaluate(MINUTE + 2);
    let states: Vec<_> = bench
        .rules
        .alerts()
        .iter()
        .map(|a| {
            format!(
                "{} {}",
                a.labels.get("alertname").unwrap(),
                a.state.as_str()
            )
        })
        .collect();
    assert_eq!(states, ["A firing", "C pending"]);
    // The series of the removed rule have ended.
    assert_eq!(bench.query("ALERTS{alertname=\"B\"}", MINUTE + 2), [""; 0]);
}

#[test]
fn an_invalid_rule_leaves_the_loaded_rules_unchanged() {
    let mut bench = Bench::new(single_rule_group(AlertRule::new("A").expr("load")));
    let source = Source::new(&bench.engine, &bench.store);
    let bad = single_rule_group(AlertRule::new("B").expr("rate(load[2d])"));
    let error = bench
        .rules
        .load("f", bad, &source, 0)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("retention") && error.contains("\"B\""),
        "{error}"
    );
    assert!(
        bench
            .rules
            .add_rule(AlertRule::new("C"), &source, 0)
            .is_err()
    );
    let left: Vec<_> = bench
        .rules
        .alert_rules()
        .map(|rule| rule.id.as_str())
        .collect();
    assert_eq!(left, ["A"]);
}

#[test]
fn rules_are_added_removed_enabled_and_disabled_at_run_time() {
    let mut bench = Bench::new(Vec::new());
    let source = Source::new(&bench.engine, &bench.store);
    bench
        .rules
        .add_rule(AlertRule::new("A").expr("load"), &source, 0)
        .unwrap();
    bench
        .rules
        .add_rule(AlertRule::new("B").expr("load"), &source, 0)
        .unwrap();
    bench.set("load", "x", 0, 1.0);
    assert_eq!(bench.evaluate(0).alerts.len(), 2);
    let resolved = bench.rules.set_enabled("A", false, 1).unwrap();
    assert_eq!(names(&resolved, 1), ["x resolved"]);
    assert_eq!(bench.evaluate(2 * MINUTE).rules, 1);
    assert_eq!(bench.rules.set_enabled("A", true, 1), Some(Vec::new()));
    let resolved = bench.rules.remove_rule("B", 1).unwrap();
    assert_eq!(names(&resolved, 1), ["x resolved"]);
    assert_eq!(bench.rules.remove_rule("B", 1), None);
    assert_eq!(bench.evaluate(3 * MINUTE).rules, 1);
    let source = Source::new(&bench.engine, &bench.store);
    let other = AlertRule::new("A").expr("load > 100");
    assert_eq!(bench.rules.add_rule(other, &source, 1).unwrap(), []);
    assert_eq!(bench.evaluate(4 * MINUTE).rules, 1);
    assert_eq!(bench.rules.count(AlertState::Firing), 0);
}

#[test]
fn each_group_is_evaluated_at_its_own_interval_and_once_after_missed_evaluations() {
    let group = |name: &str, seconds| {
        let rule = AlertRule::new(name).expr("load");
        RuleGroup::new(name)
            .interval(Duration::from_secs(seconds))
            .rule(rule)
    };
    let mut bench = Bench::new(Vec::new());
    bench.load(vec![group("a", 10), group("b", 60)], 1_000_000);
    let source = Source::new(&bench.engine, &bench.store);
    let mut now = bench.rules.next_evaluation(1_000_000).unwrap();
    let mut counts = [0; 2];
    for _ in 0..70 {
        let evaluation = bench.rules.evaluate_due(&source, now);
        counts[usize::from(evaluation.rules == 0)] += 1;
        assert_eq!(bench.rules.evaluate_due(&source, now).rules, 0);
        now = bench.rules.next_evaluation(now).unwrap();
    }
    assert!((1_590_000..1_610_000).contains(&now), "{now}");
    assert_eq!(counts, [70, 0]);
    assert_eq!(bench.rules.evaluate_due(&source, now + 600_000).rules, 2);
}

#[test]
fn a_disabled_rule_stays_disabled_after_a_reload() {
    let rule = || AlertRule::new("A").expr("load");
    let mut bench = Bench::new(single_rule_group(rule()));
    bench.rules.set_enabled("A", false, 0).unwrap();
    assert_eq!(bench.rules.set_enabled("B", false, 0), None);
    bench.load(single_rule_group(rule()), 1);
    assert_eq!(bench.evaluate(2).rules, 0);
    assert!(bench.rules.alert_rules().all(|rule| !rule.enabled));
    bench.rules.set_enabled("A", true, 3).unwrap();
    bench.load(single_rule_group(rule()), 4);
    assert_eq!(bench.evaluate(5).rules, 1);
}

#[test]
fn every_alert_of_a_storm_is_saved() {
    const ALERTS: usize = 10_000;
    let mut bench = Bench::new(single_rule_group(AlertRule::new("A").expr("load")));
    for at in 0..ALERTS {
        bench.set("load", &format!("model-{at}"), 0, 1.0);
    }
    bench.evaluate(0);
    assert_eq!(bench.rules.save(0).alerts.len(), ALERTS);
}

#[test]
fn status_has_the_shape_of_prometheus() {
    let rule = AlertRule::new("A")
        .expr("load")
        .label("severity", "page")
        .annotation("s", "{{ $value }}");
    let group = RuleGroup::new("g")
        .rule(rule)
        .rule(RecordingRule::new("r", "load"));
    let mut bench = Bench::new(vec![group]);
    bench.set("load", "x", 1500, 1.0);
    bench.evaluate(1500);
    let json = serde_json::to_value(bench.rules.status()).unwrap();
    let alert = serde_json::json!({
        "labels": {"alertname": "A", "model": "x", "severity": "page"}, "annotations": {"s": "1"},
        "state": "firing", "activeAt": "1970-01-01T00:00:01.5Z", "value": "1e+00",
    });
    assert_eq!(json[0]["rules"][0]["alerts"][0], alert);
    assert_eq!(json[0]["interval"], 60.0);
    assert_eq!(json[0]["rules"][0]["type"], "alerting");
    assert_eq!(json[0]["rules"][0]["state"], "firing");
    assert_eq!(json[0]["rules"][1]["type"], "recording");
    assert_eq!(json[0]["rules"][1].get("state"), None);
    assert_eq!(
        json[0]["rules"][1]["lastEvaluation"],
        "1970-01-01T00:00:01.5Z"
    );
}

#[test]
fn a_cancelled_evaluation_leaves_every_alert_unchanged() {
    let rule = |id: &str| {
        AlertRule::new(id)
            .expr("up == 0")
            .on_error(OnError::Alert)
            .no_data(NoData::Alert)
    };
    let mut bench = Bench::new(vec![RuleGroup::new("g").rule(rule("a")).rule(rule("b"))]);
    bench.set("up", "m", 0, 0.0);
    assert_eq!(names(&bench.evaluate(0).alerts, 0), ["m firing"; 2]);
    let cancel = std::sync::atomic::AtomicBool::new(true);
    let control = Control {
        cancel: Some(&cancel),
        ..Control::default()
    };
    let source = Source::new(&bench.engine, &bench.store).with_control(control);
    let evaluation = bench.rules.evaluate_all(&source, 2 * MINUTE);
    assert!(evaluation.alerts.is_empty() && evaluation.failures.is_empty());
    assert_eq!(bench.rules.count(AlertState::Firing), 2);
    let of_g = &bench.rules.status()[0].rules;
    assert!(of_g.iter().all(|rule| rule.health == "ok"));
}
