//! Tests steps of the wall clock in a whole observatory: alerts, silences and stored samples.
#![cfg(feature = "alerting")]

use super::alerts_support::{Watched, quiet, watched};
use std::time::{Duration, SystemTime};

use llm_observatory::{
    Config, Format, Observatory,
    alerting::{AlertRule, AlertState, Channel, HistoryQuery, Severity, SilenceRequest},
    query::engine::Value,
};

const HOUR: i64 = 3_600;
/// Steps of the wall clock in seconds: each list is applied with half a minute between its steps.
const CASES: &[&[i64]] = &[
    &[],
    &[5],
    &[-5],
    &[HOUR],
    &[-HOUR],
    &[HOUR, -HOUR],
    &[365 * 24 * HOUR],
];

fn rules() -> Config {
    let mut config = quiet();
    config.alerting.default_rules = false;
    let rule = |name: &str, expr: &str| AlertRule::new(name).expr(expr);
    config.alerting.rules = vec![
        rule("firing", "load > 0"),
        rule("pending", "load > 0").hold_for(Duration::from_mins(5)),
        rule("kept", "short_load > 0").keep_firing_for(Duration::from_mins(5)),
        rule("later", "other_load > 0"),
    ];
    config
}

fn set(watched: &Watched, gauge: &'static str, value: f64) {
    metrics::with_local_recorder(&watched.observatory.recorder(), || {
        metrics::gauge!(gauge).set(value);
    });
}

fn step(watched: &Watched, seconds: i64) {
    let by = Duration::from_secs(seconds.unsigned_abs());
    let now = watched.clock.clock().wall();
    watched
        .clock
        .set_wall(if seconds < 0 { now - by } else { now + by });
}

/// Returns the value of a scalar or of the first sample of a vector.
fn value(watched: &Watched, expr: &str) -> Option<f64> {
    let now = watched.clock.clock().wall();
    match watched.observatory.query(expr, now).unwrap().value {
        Value::Vector(samples) => samples.first().map(|sample| sample.point.value),
        Value::Scalar(point) => Some(point.value),
        _ => None,
    }
}

/// Counts ten events and ticks: a rate of one per second.
fn work(watched: &Watched) {
    metrics::with_local_recorder(&watched.observatory.recorder(), || {
        metrics::counter!("work_total").increment(10);
    });
    watched.tick();
}

/// Works for a tick, and checks that the counter has no gap, no overlap and an even rate.
fn tick(watched: &Watched) {
    work(watched);
    let query = |expr: &str| value(watched, expr).unwrap();
    let rate = query("rate(work_total[61s])");
    assert!((0.99..1.01).contains(&rate), "rate {rate}");
    assert_eq!(
        query("count_over_time(work_total[60s])"),
        6.0,
        "a gap or an overlap"
    );
    assert_eq!(query("resets(work_total[60s])"), 0.0);
    let now = watched.clock.clock().wall();
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(query("time()"), now.as_secs_f64());
    assert_eq!(query("timestamp(work_total)"), now.as_secs_f64());
}

fn sorted_titles(watched: &Watched) -> Vec<String> {
    let mut titles = watched.mailbox.titles();
    titles.sort();
    titles
}

#[test]
fn a_step_of_the_wall_clock_changes_neither_samples_nor_alerts() {
    let mut ticks_of_pending = Vec::new();
    for steps in CASES {
        let watched = watched(rules());
        for gauge in ["load", "short_load"] {
            set(&watched, gauge, 1.0);
        }
        set(&watched, "other_load", 0.0);
        for _ in 0..7 {
            work(&watched);
        }
        watched.tick_until("two messages", || watched.mailbox.titles().len() == 2);
        // Ends within `keep_firing_for`, before the step.
        set(&watched, "short_load", 0.0);
        watched.tick();
        assert_eq!(watched.state_of("pending"), Some(AlertState::Pending));
        // The first tick may take place twice, because the test advances the clock meanwhile.
        let refused = "observatory_store_refused_samples_total";
        let refused_before = value(&watched, refused);
        // Fills the range of the counter after ticks without work.
        for _ in 0..7 {
            work(&watched);
        }
        for seconds in *steps {
            step(&watched, *seconds);
            for _ in 0..3 {
                tick(&watched);
                assert_eq!(
                    watched.state_of("firing"),
                    Some(AlertState::Firing),
                    "{steps:?}"
                );
                assert_eq!(
                    watched.state_of("kept"),
                    Some(AlertState::Firing),
                    "{steps:?}"
                );
                assert_eq!(watched.mailbox.titles().len(), 2, "{steps:?}");
            }
        }
        // A known series fires after the step, too.
        set(&watched, "other_load", 1.0);
        let mut ticks = 3 * steps.len();
        while watched.state_of("pending") != Some(AlertState::Firing) {
            tick(&watched);
            ticks += 1;
            assert!(ticks < 60, "{steps:?}: the pending alert does not fire");
        }
        ticks_of_pending.push(ticks);
        for _ in 0..6 {
            tick(&watched);
        }
        watched.tick_until("four messages", || watched.mailbox.titles().len() == 4);
        let firing = ["firing", "kept", "later", "pending"];
        let titles = firing.map(|name| format!("[FIRING:1] {name} (warning)"));
        assert_eq!(sorted_titles(&watched), titles, "{steps:?}");
        for gauge in ["load", "other_load"] {
            set(&watched, gauge, 0.0);
        }
        watched.pass(Duration::from_mins(6));
        watched.tick_until("the ends", || watched.mailbox.titles().len() == 8);
        let all = watched
            .observatory
            .alerts()
            .history(&HistoryQuery::default());
        let (of_steps, of_alerts): (Vec<_>, Vec<_>) =
            all.iter().partition(|record| record.rule == "clock_step");
        assert_eq!(of_alerts.len(), 4, "{steps:?}: {of_alerts:?}");
        for record in of_alerts {
            let lasted = record.ends_at.unwrap() - record.starts_at;
            assert!((0..=20 * 60_000).contains(&lasted), "{steps:?}: {record:?}");
        }
        assert_eq!(of_steps.len(), steps.len());
        let status = watched.observatory.status().clock;
        assert_eq!(status.steps, steps.len() as u64);
        assert_eq!(status.last_step_ms, steps.last().unwrap_or(&0) * 1_000);
        let text = watched.observatory.export_metrics(Format::Prometheus);
        if let Some(last) = steps.last() {
            let count = format!("observatory_clock_steps_total {}\n", steps.len());
            let gauge = format!("observatory_clock_last_step_seconds {last}\n");
            assert!(text.contains(&count) && text.contains(&gauge), "{text}");
            let summary = &of_steps[0].annotations["summary"];
            assert_eq!(
                *summary,
                format!("the wall clock stepped by {last:+}.000 s")
            );
        }
        assert_eq!(value(&watched, refused), refused_before, "{steps:?}");
    }
    let expected = ticks_of_pending[0];
    for (ticks, steps) in ticks_of_pending.iter().zip(CASES) {
        // The evaluations keep to multiples of their interval on the wall clock.
        assert!(
            ticks.abs_diff(expected) <= 2,
            "{steps:?}: {ticks} ticks, not {expected}"
        );
    }
}

#[test]
fn a_silence_ends_at_its_wall_time_across_a_step() {
    for (seconds, is_silenced) in [(HOUR, false), (-HOUR, true), (5, true)] {
        let watched = watched(rules());
        watched.tick();
        let end = watched.clock.clock().wall() + Duration::from_mins(30);
        let end = end.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let ends_at = i64::try_from(end.as_millis()).unwrap();
        let request = SilenceRequest::until(ends_at, "alertname=firing").because("ada", "upgrade");
        let alerts = watched.observatory.alerts();
        alerts.silence(request).unwrap();
        set(&watched, "load", 1.0);
        watched.pass(Duration::from_mins(1));
        step(&watched, seconds);
        watched.pass(Duration::from_mins(7));
        let is_notified = watched
            .mailbox
            .titles()
            .contains(&"[FIRING:1] firing (warning)".to_owned());
        assert_eq!(is_notified, !is_silenced, "{seconds} s");
        assert_eq!(alerts.silences()[0].ends_at, ends_at);
        // Before the end, the same silence holds; at its end on the wall clock, it no longer does.
        if is_silenced {
            let now = watched
                .clock
                .clock()
                .wall()
                .duration_since(SystemTime::UNIX_EPOCH);
            watched.clock.advance(end.saturating_sub(now.unwrap()));
            watched.pass(Duration::from_mins(1));
            watched.tick_until("the message after the silence", || {
                watched
                    .mailbox
                    .titles()
                    .contains(&"[FIRING:1] firing (warning)".to_owned())
            });
        }
    }
}

#[test]
fn raised_alerts_last_across_a_step_and_the_next_start_continues_with_them() {
    let directory = std::env::temp_dir().join(format!("observatory-clock-{}", std::process::id()));
    for seconds in [HOUR, -HOUR] {
        let _ = std::fs::remove_dir_all(&directory);
        let mut config = rules();
        config.alerting.data_dir = Some(directory.clone());
        config.alerting.rules.truncate(1);
        let watched = watched(config.clone());
        let alerts = watched.observatory.alerts();
        set(&watched, "load", 1.0);
        alerts
            .trigger("by_hand", Severity::Error, "smoke", &[])
            .unwrap();
        watched.pass(Duration::from_secs(40));
        watched.tick_until("two messages", || watched.mailbox.titles().len() == 2);
        step(&watched, seconds);
        watched.pass(Duration::from_mins(6));
        assert_eq!(
            watched.mailbox.titles().len(),
            2,
            "{seconds} s: {:?}",
            watched.mailbox.titles()
        );
        // A new observatory on the same clock reads the moved state.
        let Watched {
            observatory,
            clock,
            mailbox,
            ..
        } = watched;
        drop(alerts);
        drop(observatory);
        let (layer, observatory) = Observatory::builder(config.without_server())
            .clock(clock.clock())
            .channel("mailbox", Channel::new(mailbox.clone()))
            .build()
            .unwrap();
        let watched = Watched {
            observatory,
            clock,
            mailbox,
            layer: Some(layer),
        };
        set(&watched, "load", 1.0);
        watched.pass(Duration::from_mins(2));
        assert_eq!(watched.state_of("firing"), Some(AlertState::Firing));
        assert_eq!(
            watched.mailbox.titles().len(),
            2,
            "{seconds} s: {:?}",
            watched.mailbox.titles()
        );
    }
    let _ = std::fs::remove_dir_all(&directory);
}
