//! Tests the warnings about rules and queries that name metrics which do not exist.
#![cfg(feature = "alerting")]

use super::alerts_support::{Watched, quiet, watched};
use std::time::Duration;

use llm_observatory::alerting::{AlertRule, RecordingRule, RuleGroup};

const TYPO: &str = "llm_router_dev_http_requests_total";

fn problems_of(watched: &Watched, name: &str) -> Vec<String> {
    let problems = watched.observatory.status().problems.into_iter();
    problems
        .filter(|text| text.contains(&format!("`{name}`")))
        .collect()
}

fn warnings_of(watched: &Watched, rule: &str) -> Vec<String> {
    let groups = watched.observatory.alerts().rules();
    let mut rules = groups.into_iter().flat_map(|group| group.rules);
    rules.find(|known| known.name == rule).unwrap().warnings
}

#[test]
fn a_rule_with_an_unknown_metric_has_a_warning_with_the_nearest_name() {
    let mut config = quiet();
    let rule = |name: &str, expr: &str| AlertRule::new(name).expr(expr);
    config.alerting.rules = vec![
        rule("busy", &format!("rate({TYPO}[5m]) > 10")),
        rule("rows", "rows_total > 5"),
        rule("missing", "absent(heartbeat)"),
        rule("recorded", "rows:rate > 1"),
    ];
    let record = RecordingRule::new("rows:rate", "rate(llm_router_errors_total[5m])");
    config.alerting.rule_groups = vec![RuleGroup::new("records").rule(record)];
    let watched = watched(config);
    let suggestion = "did you mean `llm_router_http_requests_total`? the prefix is `llm_router_`";
    let problems = problems_of(&watched, TYPO);
    assert!(
        problems.len() == 1 && problems[0].contains(suggestion) && problems[0].contains("busy"),
        "{problems:?}"
    );
    let warnings = warnings_of(&watched, "busy");
    assert!(
        warnings.len() == 1 && warnings[0].contains(suggestion),
        "{warnings:?}"
    );
    // The application may register its own metrics at their first use.
    assert!(
        problems_of(&watched, "rows_total").is_empty() && warnings_of(&watched, "rows").is_empty()
    );
    watched.clock.advance(Duration::from_mins(10));
    assert_eq!(problems_of(&watched, "rows_total").len(), 1);
    assert_eq!(warnings_of(&watched, "rows").len(), 1);
    for (rule, name) in [("missing", "heartbeat"), ("recorded", "rows:rate")] {
        assert!(problems_of(&watched, name).is_empty() && warnings_of(&watched, rule).is_empty());
    }
    metrics::with_local_recorder(&watched.observatory.recorder(), || {
        metrics::counter!("rows_total").increment(1);
    });
    assert!(problems_of(&watched, "rows_total").is_empty());
    // The default rules are not reported: their metrics depend on the features in use.
    let other = watched.observatory.status().problems;
    assert!(other.iter().all(|text| text.contains(TYPO)), "{other:?}");
}

#[test]
fn a_query_with_an_unknown_metric_has_a_warning() {
    let watched = watched(quiet());
    let now = watched.clock.clock().wall();
    let warnings = |query: &str| watched.observatory.query(query, now).unwrap().warnings;
    let found = warnings(&format!("sum({TYPO}) or up"));
    assert!(
        found.len() == 2 && found[0].contains("did you mean") && found[1].contains("`up`"),
        "{found:?}"
    );
    for known in [
        "llm_router_http_requests_total",
        "llm_router_http_request_duration_seconds_bucket",
        "absent(up)",
        "ALERTS",
        "{job='x'}",
        "1",
    ] {
        assert_eq!(warnings(known), Vec::<String>::new(), "{known}");
    }
}
