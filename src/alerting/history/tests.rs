use std::time::Duration;

use super::*;
use crate::{
    alerting::{Severity, parse_matchers},
    query::Labels,
};

const MINUTE: i64 = 60_000;

fn time(ms: i64) -> UnixMs {
    UnixMs::from_i64(ms)
}

fn alert(rule: &str, starts_at: i64, ends_at: i64) -> Alert {
    let labels = [
        ("alertname", rule),
        ("severity", "critical"),
        ("model_id", "llama"),
    ];
    let mut alert = Alert::new(Labels::from_pairs(labels), starts_at);
    alert.ends_at = ends_at;
    alert
}

#[test]
fn each_firing_period_of_an_alert_is_one_record() {
    let mut history = History::new(10, Vec::new(), time(0));
    history.observe(&[alert("a", 0, 4 * MINUTE)], time(0));
    history.observe(&[alert("a", 0, 5 * MINUTE)], time(MINUTE));
    history.observe(&[alert("a", 0, 2 * MINUTE)], time(2 * MINUTE));
    history.observe(&[alert("a", 0, 2 * MINUTE)], time(3 * MINUTE));
    history.observe(&[alert("a", 9 * MINUTE, 12 * MINUTE)], time(9 * MINUTE));
    history.expire(time(12 * MINUTE));
    let records = history.query(&HistoryQuery::default());
    let times: Vec<_> = records
        .iter()
        .map(|record| (record.starts_at, record.ends_at))
        .collect();
    assert_eq!(
        times,
        [(9 * MINUTE, Some(12 * MINUTE)), (0, Some(2 * MINUTE))]
    );
}

#[test]
fn the_oldest_records_are_removed_and_their_alerts_start_no_new_record() {
    let mut history = History::new(2, Vec::new(), time(0));
    for rule in ["a", "b", "c"] {
        history.observe(&[alert(rule, 0, 4 * MINUTE)], time(0));
    }
    history.observe(&[alert("a", 0, 5 * MINUTE)], time(MINUTE));
    let rules: Vec<String> = history
        .query(&HistoryQuery::default())
        .iter()
        .map(|record| record.rule.clone())
        .collect();
    assert_eq!(rules, ["c", "b"]);
    assert_eq!(history.statistics(time(MINUTE)).active, 3);
}

#[test]
fn a_query_filters_by_time_rule_severity_and_labels() {
    let mut history = History::new(10, Vec::new(), time(0));
    history.observe(&[alert("a", 0, 60 * MINUTE)], time(0));
    history.observe(&[alert("a", 0, 5 * MINUTE)], time(5 * MINUTE));
    history.observe(&[alert("b", 10 * MINUTE, 60 * MINUTE)], time(10 * MINUTE));
    let count = |query: HistoryQuery| history.query(&query).len();
    let all = HistoryQuery::default;
    assert_eq!(
        count(HistoryQuery {
            since: Some(6 * MINUTE),
            ..all()
        }),
        1
    );
    assert_eq!(
        count(HistoryQuery {
            until: Some(10 * MINUTE),
            ..all()
        }),
        1
    );
    assert_eq!(
        count(HistoryQuery {
            rule: Some("a".to_owned()),
            ..all()
        }),
        1
    );
    assert_eq!(
        count(HistoryQuery {
            severity: Some(Severity::Info),
            ..all()
        }),
        0
    );
    assert_eq!(
        count(HistoryQuery {
            is_active: Some(true),
            ..all()
        }),
        1
    );
    assert_eq!(count(HistoryQuery { limit: 1, ..all() }), 1);
    let matchers = parse_matchers("model_id=~\"ll.*\",zone=\"\"").unwrap();
    assert_eq!(count(HistoryQuery { matchers, ..all() }), 2);
}

#[test]
fn statistics_have_means_and_the_noisiest_rules() {
    let mut history = History::new(10, Vec::new(), time(0));
    for start in [0, 20 * MINUTE] {
        history.observe(&[alert("a", start, start + 30 * MINUTE)], time(start));
        history.observe(
            &[alert("a", start, start + 10 * MINUTE)],
            time(start + 10 * MINUTE),
        );
    }
    history.observe(
        &[alert("b", 100 * MINUTE, 200 * MINUTE)],
        time(100 * MINUTE),
    );
    let acknowledgement = Acknowledgement {
        by: "ada".to_owned(),
        comment: String::new(),
        at: 103 * MINUTE,
        alerts: [alert("b", 0, 0).fingerprint()].into(),
    };
    history.record_acknowledgement(&acknowledgement);
    let statistics = history.statistics(time(101 * MINUTE));
    assert_eq!(
        (statistics.active, statistics.last_hour, statistics.last_day),
        (1, 1, 3)
    );
    assert_eq!(
        statistics.mean_time_to_resolve,
        Some(Duration::from_mins(10))
    );
    assert_eq!(
        statistics.mean_time_to_acknowledge,
        Some(Duration::from_mins(3))
    );
    assert_eq!(statistics.noisiest[0], ("a".to_owned(), 2));
    assert_eq!(statistics.by_severity["critical"], 3);
}
