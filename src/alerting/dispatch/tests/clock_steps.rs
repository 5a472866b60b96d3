use std::time::Duration;

use super::*;

impl Simulation {
    fn step(&mut self, by_ms: i64) {
        self.dispatcher.shift(by_ms, time(self.now));
        self.now += by_ms;
    }
}

/// Returns all messages of an hour and a half, with a step of the clock after each part of it.
fn messages(options: DispatchOptions, step: i64) -> Vec<String> {
    let steps = Escalation::after(Duration::from_mins(15))
        .with_step(["hook"])
        .with_step(["boss"])
        .repeating();
    let mut simulation = Simulation::with_options(escalating(steps), options);
    let mut sent = Vec::new();
    simulation.fire(&["slow/a"]);
    simulation.step(step);
    for minutes in [1, 2, 12, 1, 14, 5] {
        sent.extend(simulation.advance(minutes * MINUTE));
        simulation.step(step);
        sent.push(format!("after {minutes} minutes"));
    }
    // Flaps: the fourth change is held as firing for ten minutes.
    for _ in 0..3 {
        simulation.resolve(&["slow/a"]);
        sent.extend(simulation.advance(MINUTE));
        simulation.step(step);
        simulation.fire(&["slow/a"]);
        sent.extend(simulation.advance(MINUTE));
    }
    simulation.resolve(&["slow/a"]);
    for _ in 0..15 {
        sent.extend(simulation.advance(MINUTE));
        sent.push("a minute".to_owned());
        simulation.step(step);
    }
    // The repeat interval.
    simulation.fire(&["slow/b"]);
    for _ in 0..5 {
        sent.extend(simulation.advance(60 * MINUTE));
        sent.push("an hour".to_owned());
        simulation.step(step);
    }
    sent
}

#[test]
fn steps_of_the_clock_change_no_message_and_no_time_between_messages() {
    let damped = DispatchOptions::default();
    for options in [damped.clone(), damped.without_damping()] {
        let expected = messages(options.clone(), 0);
        assert!(
            expected
                .iter()
                .any(|sent| sent.starts_with("boss: Escalation"))
        );
        assert!(expected.iter().any(|sent| sent.contains("AllResolved")));
        assert!(
            expected.iter().any(|sent| sent.contains("Repeat")),
            "{expected:?}"
        );
        for step in [
            5 * SECOND,
            -5 * SECOND,
            60 * MINUTE,
            -60 * MINUTE,
            525_600 * MINUTE,
        ] {
            assert_eq!(messages(options.clone(), step), expected, "{step} ms");
        }
    }
}

#[test]
fn all_moved_state_is_written_again() {
    let mut simulation = Simulation::new(router("hook"));
    simulation.fire(&["slow/a"]);
    simulation.advance(MINUTE);
    simulation.dispatcher.take_changes();
    simulation.step(60 * MINUTE);
    let changes = simulation.dispatcher.take_changes();
    let is_alert = |change: &Change| matches!(change, Change::PutAlert(..));
    let is_group = |change: &Change| matches!(change, Change::PutGroup(_));
    assert!(changes.iter().any(is_alert) && changes.iter().any(is_group));
}
