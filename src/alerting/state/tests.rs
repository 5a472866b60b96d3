//! The table of transitions, from both sides of every limit.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

use super::*;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;

fn timing(now: i64) -> Timing {
    Timing {
        now,
        hold_for: MINUTE,
        keep_firing_for: 0,
        limit: 100,
    }
}

fn labels(name: &str) -> Labels {
    Labels::from_pairs([("alertname", "A"), ("model", name)])
}

fn met(names: &[&str]) -> Vec<Met> {
    let one = |name: &&str| Met {
        labels: labels(name),
        annotations: BTreeMap::new(),
        value: Some(1.0),
    };
    names.iter().map(one).collect()
}

fn state_of(state: &RuleState, name: &str) -> Option<AlertState> {
    state.alerts.get(&labels(name)).map(|alert| alert.state)
}

/// Evaluates at the given times (in seconds), and says what the alert `a` was each time.
fn history(steps: &[(i64, bool)], change: impl Fn(Timing) -> Timing) -> Vec<Option<AlertState>> {
    let mut state = RuleState::default();
    let step = |&(at, is_met): &(i64, bool)| {
        let results = met(if is_met { &["a"] } else { &[] });
        state
            .advance(results, Unmet::End, &change(timing(at * SECOND)))
            .unwrap();
        state_of(&state, "a")
    };
    steps.iter().map(step).collect()
}

use AlertState::{Firing, Inactive, Pending};

#[test]
fn an_alert_fires_when_it_was_met_for_as_long_as_for_says() {
    let steps = [(0, true), (59, true), (60, true)];
    let expected = [Some(Pending), Some(Pending), Some(Firing)];
    assert_eq!(history(&steps, |t| t), expected);
    let at_once = history(&[(0, true)], |t| Timing { hold_for: 0, ..t });
    assert_eq!(at_once, [Some(Firing)]);
}

#[test]
fn a_pending_alert_that_is_not_met_is_gone_and_starts_anew() {
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
    let keep = |t| Timing {
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
fn a_longer_for_takes_a_firing_alert_back() {
    let mut state = RuleState::default();
    let short = Timing {
        hold_for: 0,
        ..timing(0)
    };
    state.advance(met(&["a"]), Unmet::End, &short).unwrap();
    assert_eq!(state_of(&state, "a"), Some(Firing));
    state
        .advance(met(&["a"]), Unmet::End, &timing(30 * SECOND))
        .unwrap();
    assert_eq!(state_of(&state, "a"), Some(Pending));
    state
        .advance(met(&["a"]), Unmet::End, &timing(MINUTE))
        .unwrap();
    assert_eq!(state_of(&state, "a"), Some(Firing));
}

#[test]
fn two_results_with_the_same_labels_are_an_error_that_changes_nothing() {
    let mut state = RuleState::default();
    state.advance(met(&["a"]), Unmet::End, &timing(0)).unwrap();
    let error = state
        .advance(met(&["b", "b"]), Unmet::End, &timing(1))
        .unwrap_err();
    assert_eq!(error, StateError::Duplicate(labels("b")));
    assert_eq!(state_of(&state, "a"), Some(Pending));
}

#[test]
fn over_the_limit_all_alerts_are_cleared() {
    let limited = |now| Timing {
        limit: 2,
        ..timing(now)
    };
    let mut state = RuleState::default();
    state
        .advance(met(&["a", "b"]), Unmet::End, &limited(0))
        .unwrap();
    let error = state
        .advance(met(&["a", "b", "c"]), Unmet::End, &limited(1))
        .unwrap_err();
    assert_eq!(error.to_string(), "exceeded limit of 2 with 3 alerts");
    assert_eq!(state.alerts().count(), 0);
}

#[test]
fn what_cannot_be_told_stays() {
    let mut state = RuleState::default();
    state
        .advance(met(&["a", "b"]), Unmet::End, &timing(0))
        .unwrap();
    state
        .advance(met(&["a"]), Unmet::End, &timing(MINUTE))
        .unwrap();
    state
        .advance(met(&["c"]), Unmet::Stay, &timing(2 * MINUTE))
        .unwrap();
    assert_eq!(state_of(&state, "a"), Some(Firing));
    assert_eq!(state_of(&state, "b"), None);
    assert_eq!(state_of(&state, "c"), Some(Pending));
}

#[test]
fn alerts_are_told_at_once_then_after_the_resend_delay_and_when_resolved() {
    let mut state = RuleState::default();
    let at_once = |now| Timing {
        hold_for: 0,
        ..timing(now)
    };
    let mut told = |is_met, now: i64| {
        let results = met(if is_met { &["a"] } else { &[] });
        state.advance(results, Unmet::End, &at_once(now)).unwrap();
        let sending = Sending {
            now,
            resend_delay: MINUTE,
            interval: 15 * SECOND,
        };
        state
            .tell(&sending)
            .map(|a| (a.state, a.valid_until))
            .next()
    };
    assert_eq!(told(true, 0), Some((Firing, 4 * MINUTE)));
    assert_eq!(told(true, 15 * SECOND), None);
    assert_eq!(told(true, MINUTE), None);
    assert_eq!(
        told(true, 75 * SECOND),
        Some((Firing, 75 * SECOND + 4 * MINUTE))
    );
    assert!(matches!(told(false, 90 * SECOND), Some((Inactive, _))));
    assert_eq!(told(false, 105 * SECOND), None);
    assert!(matches!(told(false, 165 * SECOND), Some((Inactive, _))));
    assert!(matches!(told(true, 170 * SECOND), Some((Firing, _))));
}

#[test]
fn series_carry_the_state_and_the_start() {
    let mut state = RuleState::default();
    state
        .advance(met(&["a"]), Unmet::End, &timing(5500))
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

fn saved(state: &RuleState) -> Vec<SavedAlert> {
    saved_at(state, 0)
}

fn saved_at(state: &RuleState, now: i64) -> Vec<SavedAlert> {
    state.save("g", "A", &BTreeMap::new(), now)
}

fn restore_options(now: i64, saved_at: i64) -> RestoreOptions {
    RestoreOptions {
        now,
        saved_at,
        outage_tolerance: 60 * MINUTE,
        grace: 10 * MINUTE,
        settle: 5 * MINUTE,
    }
}

#[test]
fn a_firing_alert_is_firing_after_a_restart_and_ends_only_once_the_store_is_full() {
    let mut before = RuleState::default();
    before.advance(met(&["a"]), Unmet::End, &timing(0)).unwrap();
    before
        .advance(met(&["a"]), Unmet::End, &timing(MINUTE))
        .unwrap();
    let mut after = RuleState::default();
    let start = 200 * MINUTE;
    let json = serde_json::to_string(&saved(&before)).unwrap();
    let read: Vec<SavedAlert> = serde_json::from_str(&json).unwrap();
    for alert in &read {
        after.restore(alert, &restore_options(start, MINUTE));
    }
    after
        .advance(met(&[]), Unmet::End, &timing(start + MINUTE))
        .unwrap();
    assert_eq!(state_of(&after, "a"), Some(Firing));
    after
        .advance(met(&[]), Unmet::End, &timing(start + 5 * MINUTE))
        .unwrap();
    assert_eq!(state_of(&after, "a"), Some(Inactive));
}

#[test]
fn what_was_pending_outlives_two_restarts_in_quick_succession() {
    let hour = |now| Timing {
        hold_for: 60 * MINUTE,
        ..timing(now)
    };
    let mut first = RuleState::default();
    first.advance(met(&["a"]), Unmet::End, &hour(0)).unwrap();
    first
        .advance(met(&["a"]), Unmet::End, &hour(40 * MINUTE))
        .unwrap();
    let restarted = |before: &RuleState, saved_at_ms: i64, now: i64| {
        let mut after = RuleState::default();
        for alert in &saved_at(before, saved_at_ms) {
            after.restore(alert, &restore_options(now, saved_at_ms));
        }
        after
    };
    let second = restarted(&first, 40 * MINUTE, 42 * MINUTE);
    // It saves, and ends, before its first evaluation.
    let mut third = restarted(&second, 43 * MINUTE, 44 * MINUTE);
    third
        .advance(met(&["a"]), Unmet::End, &hour(45 * MINUTE))
        .unwrap();
    // Four minutes went by in which nobody looked: twenty are to go, as before.
    third
        .advance(met(&["a"]), Unmet::End, &hour(64 * MINUTE))
        .unwrap();
    assert_eq!(state_of(&third, "a"), Some(Pending));
    third
        .advance(met(&["a"]), Unmet::End, &hour(65 * MINUTE))
        .unwrap();
    assert_eq!(state_of(&third, "a"), Some(Firing));
}

/// Saved after `spent` of `for: 1h`, up again after `down`, met at once: when it fires, counted from then.
fn fires_after(spent: i64, down: i64) -> i64 {
    let hour = |now| Timing {
        hold_for: 60 * MINUTE,
        ..timing(now)
    };
    let mut before = RuleState::default();
    before.advance(met(&["a"]), Unmet::End, &hour(0)).unwrap();
    before
        .advance(met(&["a"]), Unmet::End, &hour(spent))
        .unwrap();
    let mut after = RuleState::default();
    let start = spent + down;
    for alert in &saved(&before) {
        after.restore(alert, &restore_options(start, spent));
    }
    let mut now = start;
    loop {
        after.advance(met(&["a"]), Unmet::End, &hour(now)).unwrap();
        if state_of(&after, "a") == Some(Firing) {
            return now - start;
        }
        now += MINUTE;
    }
}

#[test]
fn for_goes_on_after_a_restart_as_in_prometheus() {
    // The time while nobody looked does not count.
    assert_eq!(fires_after(20 * MINUTE, 30 * MINUTE), 40 * MINUTE);
    // There are ten minutes at least.
    assert_eq!(fires_after(55 * MINUTE, 30 * MINUTE), 10 * MINUTE);
    // Too long ago: it starts anew.
    assert_eq!(fires_after(20 * MINUTE, 61 * MINUTE), 60 * MINUTE);
    assert_eq!(fires_after(20 * MINUTE, 60 * MINUTE), 40 * MINUTE);
}
