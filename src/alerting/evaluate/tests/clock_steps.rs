//! Tests evaluation across steps of the wall clock.

use super::*;

#[test]
fn evaluation_pauses_after_a_small_backward_clock_step_and_follows_a_large_step() {
    let group = RuleGroup::new("g").interval(Duration::from_secs(10));
    let mut bench = Bench::new(Vec::new());
    bench.load(
        vec![group.rule(AlertRule::new("A").expr("load"))],
        1_000_000,
    );
    let source = Source::new(&bench.engine, &bench.store);
    let turn = bench.rules.next_evaluation(1_000_000).unwrap();
    assert_eq!(bench.rules.evaluate_due(&source, turn - 1).rules, 0);
    assert_eq!(bench.rules.evaluate_due(&source, turn).rules, 1);
    assert_eq!(bench.rules.evaluate_due(&source, turn - 50).rules, 0);
    assert_eq!(bench.rules.next_evaluation(turn - 50), Some(turn + 10_000));
    assert_eq!(bench.rules.evaluate_due(&source, turn - 3_600_000).rules, 1);
    assert_eq!(bench.rules.evaluate_due(&source, turn - 3_590_000).rules, 1);
}

/// Returns the states of the alerts after each of 60 evaluations ten seconds apart, with a step of the clock after the
/// 20th and the 40th.
fn states_with_steps(by_ms: i64) -> Vec<Vec<(String, AlertState)>> {
    let group = RuleGroup::new("g")
        .rule(
            AlertRule::new("pending")
                .expr("load > 0.5")
                .hold_for(Duration::from_mins(4)),
        )
        .rule(
            AlertRule::new("kept")
                .expr("early > 0.5")
                .keep_firing_for(Duration::from_mins(5)),
        )
        .rule(AlertRule::new("brief").expr("early > 0.5"))
        .rule(RecordingRule::new("recorded", "increase(load[1m])"))
        .interval(Duration::from_secs(10));
    let mut bench = Bench::new(vec![group]);
    // A grid of slots, since the slots depend on the hash of the group.
    let mut now = bench.rules.next_evaluation(0).unwrap() + 10_000_000;
    let mut states = Vec::new();
    for round in 0..60 {
        bench.set("load", "x", now, f64::from(round + 1));
        bench.set("early", "x", now, if round < 10 { 1.0 } else { 0.0 });
        let source = Source::new(&bench.engine, &bench.store);
        let evaluation = bench.rules.evaluate_due(&source, now);
        assert_eq!(
            (evaluation.rules, evaluation.failures.len()),
            (4, 0),
            "round {round}"
        );
        let active = bench.rules.alerts().into_iter();
        let active = active.map(|a| (a.labels.get("alertname").unwrap().to_owned(), a.state));
        states.push(active.collect());
        if round == 20 || round == 40 {
            bench.rules.shift(by_ms);
            bench.store.shift(by_ms);
            now += by_ms;
        }
        now += 10_000;
    }
    assert_eq!(bench.store.stats().refused_samples, 0);
    states
}

#[test]
fn a_step_of_the_clock_moves_neither_for_nor_keep_firing_for() {
    let expected = states_with_steps(0);
    assert_eq!(
        expected[20].len(),
        2,
        "pending and kept: {:?}",
        expected[20]
    );
    // Multiples of the interval, since slots keep to the wall clock.
    for by_ms in [10_000, -10_000, 3_600_000, -3_600_000, 31_536_000_000] {
        assert_eq!(states_with_steps(by_ms), expected, "{by_ms} ms");
    }
}

#[test]
fn a_step_to_any_phase_of_the_interval_leaves_no_evaluation_out() {
    for by_ms in [-61_000, -5_000, -999, 999, 5_000, 14_000, 61_000] {
        let rule = AlertRule::new("A").expr("vector(1)");
        let group = RuleGroup::new("g")
            .rule(rule)
            .interval(Duration::from_secs(15));
        let mut bench = Bench::new(vec![group]);
        let (mut now, mut at) = (10_000_000, Vec::new());
        for second in 0..120 {
            let source = Source::new(&bench.engine, &bench.store);
            if bench.rules.evaluate_due(&source, now).rules > 0 {
                at.push(second);
            }
            now += 1_000;
            if second == 50 {
                bench.rules.shift(by_ms);
                bench.store.shift(by_ms);
                now += by_ms;
            }
        }
        let longest = at.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert_eq!(longest, Some(15), "{by_ms} ms: {at:?}");
        assert_eq!(bench.store.stats().refused_samples, 0, "{by_ms} ms");
    }
}
