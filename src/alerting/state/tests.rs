//! Tests the table of transitions, on both sides of every limit.
#![allow(clippy::unwrap_used, reason = "a failing test panics")]

use super::*;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;

fn timing(now: i64) -> RuleTiming {
    RuleTiming {
        now,
        hold_for: MINUTE,
        keep_firing_for: 0,
        limit: 100,
        is_data_missing: false,
    }
}

fn labels(name: &str) -> Labels {
    Labels::from_pairs([("alertname", "A"), ("model", name)])
}

fn met(names: &[&str]) -> Vec<ConditionMatch> {
    let matched = |name: &&str| ConditionMatch {
        labels: labels(name),
        annotations: BTreeMap::new(),
        value: Some(1.0),
    };
    names.iter().map(matched).collect()
}

fn state_of(state: &RuleState, name: &str) -> Option<AlertState> {
    state.alerts.get(&labels(name)).map(|alert| alert.state)
}

/// Evaluates at the given times (in seconds); returns the state of the alert `a` after each evaluation.
fn history(
    steps: &[(i64, bool)],
    change: impl Fn(RuleTiming) -> RuleTiming,
) -> Vec<Option<AlertState>> {
    let mut state = RuleState::default();
    let step = |&(at, is_met): &(i64, bool)| {
        let results = met(if is_met { &["a"] } else { &[] });
        state
            .advance(results, Unmet::Resolve, &change(timing(at * SECOND)))
            .unwrap();
        state_of(&state, "a")
    };
    steps.iter().map(step).collect()
}

use AlertState::{Firing, Inactive, Pending};

#[test]
fn an_alert_fires_once_its_condition_was_met_for_the_duration_of_for() {
    let steps = [(0, true), (59, true), (60, true)];
    let expected = [Some(Pending), Some(Pending), Some(Firing)];
    assert_eq!(history(&steps, |t| t), expected);
    let at_once = history(&[(0, true)], |t| RuleTiming { hold_for: 0, ..t });
    assert_eq!(at_once, [Some(Firing)]);
}

#[test]
fn a_pending_alert_is_dropped_when_not_met_and_starts_again() {
    let steps = [(0, true), (30, false), (40, true), (99, true), (100, true)];
    let expected = [
        Some(Pending),
        None,
        Some(Pending),
        Some(Pending),
        Some(Firing),
    ];
    assert_eq!(history(&steps, |t| t), expected);
}

#[test]
fn a_resolved_alert_is_kept_for_fifteen_minutes() {
    let steps = [
        (0, true),
        (60, true),
        (70, false),
        (970, false),
        (971, false),
    ];
    let expected = [
        Some(Pending),
        Some(Firing),
        Some(Inactive),
        Some(Inactive),
        None,
    ];
    assert_eq!(history(&steps, |t| t), expected);
}

#[test]
fn keep_firing_for_holds_and_is_reset_when_met_again() {
    let keep = |t| RuleTiming {
        hold_for: 0,
        keep_firing_for: 30 * SECOND,
        ..t
    };
    let steps = [(0, true), (10, false), (39, false), (40, false)];
    let expected = [Some(Firing), Some(Firing), Some(Firing), Some(Inactive)];
    assert_eq!(history(&steps, keep), expected);
    let again = [
        (0, true),
        (10, false),
        (35, true),
        (45, false),
        (74, false),
        (75, false),
    ];
    assert_eq!(history(&again, keep)[5], Some(Inactive));
    assert_eq!(history(&again, keep)[4], Some(Firing));
}

#[test]
fn a_longer_for_makes_a_firing_alert_pending() {
    let mut state = RuleState::default();
    let short = RuleTiming {
        hold_for: 0,
        ..timing(0)
    };
    state.advance(met(&["a"]), Unmet::Resolve, &short).unwrap();
    assert_eq!(state_of(&state, "a"), Some(Firing));
    state
        .advance(met(&["a"]), Unmet::Resolve, &timing(30 * SECOND))
        .unwrap();
    assert_eq!(state_of(&state, "a"), Some(Pending));
    state
        .advance(met(&["a"]), Unmet::Resolve, &timing(MINUTE))
        .unwrap();
    assert_eq!(state_of(&state, "a"), Some(Firing));
}

#[test]
fn two_results_with_the_same_labels_are_an_error_that_changes_nothing() {
    let mut state = RuleState::default();
    state
        .advance(met(&["a"]), Unmet::Resolve, &timing(0))
        .unwrap();
    let error = state
        .advance(met(&["b", "b"]), Unmet::Resolve, &timing(1))
        .unwrap_err();
    assert_eq!(error, StateError::Duplicate(labels("b")));
    assert_eq!(state_of(&state, "a"), Some(Pending));
}

#[test]
fn all_alerts_are_dropped_above_the_limit() {
    let limited = |now| RuleTiming {
        limit: 2,
        ..timing(now)
    };
    let mut state = RuleState::default();
    state
        .advance(met(&["a", "b"]), Unmet::Resolve, &limited(0))
        .unwrap();
    let error = state
        .advance(met(&["a", "b", "c"]), Unmet::Resolve, &limited(1))
        .unwrap_err();
    assert_eq!(error.to_string(), "exceeded limit of 2 with 3 alerts");
    assert_eq!(state.alerts().count(), 0);
}

#[test]
fn alerts_keep_their_state_when_the_condition_cannot_be_evaluated() {
    let mut state = RuleState::default();
    state
        .advance(met(&["a", "b"]), Unmet::Resolve, &timing(0))
        .unwrap();
    state
        .advance(met(&["a"]), Unmet::Resolve, &timing(MINUTE))
        .unwrap();
    state
        .advance(met(&["c"]), Unmet::Keep, &timing(2 * MINUTE))
        .unwrap();
    assert_eq!(state_of(&state, "a"), Some(Firing));
    assert_eq!(state_of(&state, "b"), None);
    assert_eq!(state_of(&state, "c"), Some(Pending));
}

#[test]
fn alerts_are_sent_at_once_then_after_the_resend_delay_and_when_resolved() {
    let mut state = RuleState::default();
    let at_once = |now| RuleTiming {
        hold_for: 0,
        ..timing(now)
    };
    let mut sent = |is_met, now: i64| {
        let results = met(if is_met { &["a"] } else { &[] });
        state
            .advance(results, Unmet::Resolve, &at_once(now))
            .unwrap();
        let timing = SendTiming {
            now,
            resend_delay: MINUTE,
            interval: 15 * SECOND,
        };
        state
            .take_due(&timing)
            .map(|a| (a.state, a.valid_until))
            .next()
    };
    assert_eq!(sent(true, 0), Some((Firing, 4 * MINUTE)));
    assert_eq!(sent(true, 15 * SECOND), None);
    assert_eq!(sent(true, MINUTE), None);
    assert_eq!(
        sent(true, 75 * SECOND),
        Some((Firing, 75 * SECOND + 4 * MINUTE))
    );
    assert!(matches!(sent(false, 90 * SECOND), Some((Inactive, _))));
    assert_eq!(sent(false, 105 * SECOND), None);
    assert!(matches!(sent(false, 165 * SECOND), Some((Inactive, _))));
    assert!(matches!(sent(true, 170 * SECOND), Some((Firing, _))));
}

#[test]
fn series_have_the_state_and_the_start_of_the_alert() {
    let mut state = RuleState::default();
    state
        .advance(met(&["a"]), Unmet::Resolve, &timing(5500))
        .unwrap();
    let mut series = Vec::new();
    state.series(&mut series);
    let series: Vec<_> = series.iter().map(|(l, v)| (l.to_string(), *v)).collect();
    assert_eq!(
        series,
        [
            (
                r#"{__name__="ALERTS", alertname="A", alertstate="pending", model="a"}"#.to_owned(),
                1.0
            ),
            (
                r#"{__name__="ALERTS_FOR_STATE", alertname="A", model="a"}"#.to_owned(),
                5.0
            ),
        ]
    );
}

fn saved(state: &RuleState) -> Vec<SavedRuleAlert> {
    saved_at(state, 0)
}

fn saved_at(state: &RuleState, now: i64) -> Vec<SavedRuleAlert> {
    state.save("g", "A", &BTreeMap::new(), now)
}

fn restore_options(now: i64, saved_at: i64) -> RestoreOptions {
    RestoreOptions {
        now,
        saved_at,
        outage_tolerance: 60 * MINUTE,
        grace: 10 * MINUTE,
        min_firing: 5 * MINUTE,
        max_wait: 5 * MINUTE,
    }
}

#[test]
fn a_firing_alert_survives_a_restart_and_is_resolved_only_after_the_minimum_firing_time() {
    let mut before = RuleState::default();
    before
        .advance(met(&["a"]), Unmet::Resolve, &timing(0))
        .unwrap();
    before
        .advance(met(&["a"]), Unmet::Resolve, &timing(MINUTE))
        .unwrap();
    let mut after = RuleState::default();
    let start = 200 * MINUTE;
    let json = serde_json::to_string(&saved(&before)).unwrap();
    let read: Vec<SavedRuleAlert> = serde_json::from_str(&json).unwrap();
    for alert in &read {
        after.restore(alert, &restore_options(start, MINUTE));
    }
    after
        .advance(met(&[]), Unmet::Resolve, &timing(start + MINUTE))
        .unwrap();
    assert_eq!(state_of(&after, "a"), Some(Firing));
    after
        .advance(met(&[]), Unmet::Resolve, &timing(start + 5 * MINUTE))
        .unwrap();
    assert_eq!(state_of(&after, "a"), Some(Inactive));
}

#[test]
fn a_pending_alert_survives_two_restarts_in_quick_succession() {
    let hour = |now| RuleTiming {
        hold_for: 60 * MINUTE,
        ..timing(now)
    };
    let mut first = RuleState::default();
    first
        .advance(met(&["a"]), Unmet::Resolve, &hour(0))
        .unwrap();
    first
        .advance(met(&["a"]), Unmet::Resolve, &hour(40 * MINUTE))
        .unwrap();
    let restarted = |before: &RuleState, saved_at_ms: i64, now: i64| {
        let mut after = RuleState::default();
        for alert in &saved_at(before, saved_at_ms) {
            after.restore(alert, &restore_options(now, saved_at_ms));
        }
        after
    };
    let second = restarted(&first, 40 * MINUTE, 42 * MINUTE);
    // The second process saves and exits before its first evaluation.
    let mut third = restarted(&second, 43 * MINUTE, 44 * MINUTE);
    third
        .advance(met(&["a"]), Unmet::Resolve, &hour(45 * MINUTE))
        .unwrap();
    // The four minutes of downtime do not count: twenty minutes remain, as before.
    third
        .advance(met(&["a"]), Unmet::Resolve, &hour(64 * MINUTE))
        .unwrap();
    assert_eq!(state_of(&third, "a"), Some(Pending));
    third
        .advance(met(&["a"]), Unmet::Resolve, &hour(65 * MINUTE))
        .unwrap();
    assert_eq!(state_of(&third, "a"), Some(Firing));
}

/// Saves after `spent` of `for: 1h`, restarts after `down`, and meets the condition at once; returns the time from the
/// restart until the alert fires.
fn fires_after(spent: i64, down: i64) -> i64 {
    let hour = |now| RuleTiming {
        hold_for: 60 * MINUTE,
        ..timing(now)
    };
    let mut before = RuleState::default();
    before
        .advance(met(&["a"]), Unmet::Resolve, &hour(0))
        .unwrap();
    before
        .advance(met(&["a"]), Unmet::Resolve, &hour(spent))
        .unwrap();
    let mut after = RuleState::default();
    let start = spent + down;
    for alert in &saved(&before) {
        after.restore(alert, &restore_options(start, spent));
    }
    let mut now = start;
    loop {
        after
            .advance(met(&["a"]), Unmet::Resolve, &hour(now))
            .unwrap();
        if state_of(&after, "a") == Some(Firing) {
            return now - start;
        }
        now += MINUTE;
    }
}

#[test]
fn for_continues_after_a_restart_as_in_prometheus() {
    // The downtime does not count.
    assert_eq!(fires_after(20 * MINUTE, 30 * MINUTE), 40 * MINUTE);
    // At least ten minutes remain.
    assert_eq!(fires_after(55 * MINUTE, 30 * MINUTE), 10 * MINUTE);
    // The downtime exceeds the tolerance: the alert starts again.
    assert_eq!(fires_after(20 * MINUTE, 61 * MINUTE), 60 * MINUTE);
    assert_eq!(fires_after(20 * MINUTE, 60 * MINUTE), 40 * MINUTE);
}
