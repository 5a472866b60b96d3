//! Tests alerts that a restart restores.

use super::*;

#[test]
fn alerts_survive_a_restart() {
    let rule = || AlertRule::new("A").expr("rate(load[5m]) >= 0");
    let mut before = Bench::new(single_rule_group(rule()));
    before.set("load", "x", 0, 1.0);
    before.set("load", "x", MINUTE, 1.0);
    before.evaluate(MINUTE);
    let saved = serde_json::to_string(&before.rules.save(MINUTE)).unwrap();
    let saved = serde_json::from_str(&saved).unwrap();
    let start = 60 * MINUTE;
    let mut after = Bench::new(single_rule_group(rule()));
    assert_eq!(after.rules.restore(&saved, start), []);
    // The store is empty, but that does not mean that the condition has ended.
    assert_eq!(names(&after.evaluate(start).alerts, start), ["x firing"]);
    let settled = start + 5 * MINUTE;
    assert_eq!(
        names(&after.evaluate(settled).alerts, settled),
        ["x resolved"]
    );
    let mut without = Bench::new(Vec::new());
    assert_eq!(
        names(&without.rules.restore(&saved, start), start),
        ["x resolved"]
    );
}

/// Returns a bench whose rule fired for the model `x` before a restart at `start`.
fn restarted(expr: &str, start: i64) -> Bench {
    let rule = || AlertRule::new("A").expr(expr);
    let mut before = Bench::new(single_rule_group(rule()));
    before.set("load", "x", start - MINUTE, 9.0);
    before.set("limit", "x", start - MINUTE, 1.0);
    before.evaluate(start - MINUTE);
    let saved = before.rules.save(start - MINUTE);
    assert_eq!(saved.alerts.len(), 1, "{expr}");
    let mut after = Bench::new(single_rule_group(rule()));
    assert_eq!(after.rules.restore(&saved, start), []);
    after
}

#[test]
fn a_restored_alert_resolves_only_after_every_metric_has_a_sample_or_the_hold_has_passed() {
    let start = 60 * MINUTE;
    for expr in [
        "load > 5 and limit",
        r#"{__name__=~"load"} > 5 and {__name__="limit"}"#,
    ] {
        // Neither metric has a sample: the alert fires for five minutes.
        let mut bench = restarted(expr, start);
        for minute in [0, 1, 3] {
            let now = start + minute * MINUTE;
            assert!(
                !names(&bench.evaluate(now).alerts, now).contains(&"x resolved".to_owned()),
                "{minute}"
            );
        }
        let last = start + 5 * MINUTE - 1;
        assert_eq!(bench.rules.count(AlertState::Firing), 1);
        bench.evaluate(last);
        assert_eq!(bench.rules.count(AlertState::Firing), 1);
        let end = start + 5 * MINUTE;
        assert_eq!(names(&bench.evaluate(end).alerts, end), ["x resolved"]);
        // The application sets a gauge after a minute to a value that still meets the condition.
        let mut bench = restarted(expr, start);
        bench.set("limit", "x", start, 1.0);
        for second in [0, 30, 60, 61, 240, 360] {
            let now = start + second * 1_000;
            if second >= 60 {
                bench.set("load", "x", now, 9.0);
                bench.set("limit", "x", now, 1.0);
            }
            let sent = names(&bench.evaluate(now).alerts, now);
            assert!(!sent.contains(&"x resolved".to_owned()), "{second}");
        }
        // With a sample of every metric, an alert whose condition is not met resolves.
        let mut bench = restarted(expr, start);
        bench.set("load", "y", start + 2 * MINUTE, 1.0);
        let now = start + 2 * MINUTE;
        assert_eq!(names(&bench.evaluate(now).alerts, now), ["x firing"]);
        bench.set("limit", "y", start + 2 * MINUTE, 1.0);
        let now = now + 1;
        assert_eq!(names(&bench.evaluate(now).alerts, now), ["x resolved"]);
    }
}
