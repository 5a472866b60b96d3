use std::time::Duration;

use super::*;
use crate::alerting::parse_matchers;

fn steps() -> Escalation {
    Escalation::after(Duration::from_mins(15))
        .with_step(["hook"])
        .with_step(["boss"])
}

fn acknowledge(world: &mut World, matcher: &str) {
    let target = AcknowledgeTarget::Alerts(parse_matchers(matcher).unwrap());
    world
        .dispatcher
        .acknowledge(&target, "ada", "on it", world.now)
        .unwrap();
}

#[test]
fn an_unacknowledged_group_rises_step_by_step_and_its_end_reaches_all() {
    let mut world = World::new(escalating(steps()));
    world.fire(&["slow/a"]);
    assert_eq!(world.hear(MINUTE), ["pager: New +a - warning"]);
    assert_eq!(world.hear(15 * MINUTE), ["hook: Escalation +a - error"]);
    assert_eq!(world.hear(15 * MINUTE), ["boss: Escalation +a - critical"]);
    assert!(world.hear(60 * MINUTE).is_empty());
    world.resolve(&["slow/a"]);
    assert_eq!(
        world.hear(5 * MINUTE),
        [
            "pager: AllResolved + -a critical",
            "hook: AllResolved + -a critical",
            "boss: AllResolved + -a critical"
        ]
    );
}

#[test]
fn steps_repeat_where_they_should() {
    let mut world = World::new(escalating(steps().repeating()));
    world.fire(&["slow/a"]);
    assert_eq!(
        world.hear(MINUTE + 45 * MINUTE),
        [
            "pager: New +a - warning",
            "hook: Escalation +a - error",
            "boss: Escalation +a - critical",
            "hook: Escalation +a - critical"
        ]
    );
}

#[test]
fn an_acknowledgement_stops_escalation_and_repeats_but_not_the_end() {
    let mut world = World::new(escalating(steps()));
    world.fire(&["slow/a"]);
    assert_eq!(world.hear(MINUTE).len(), 1);
    acknowledge(&mut world, "instance=a");
    assert_eq!(world.hear(0), ["pager: Acknowledged +a - warning"]);
    assert!(world.hear(9 * 60 * MINUTE).is_empty());
    assert!(world.dispatcher.suppressed().acknowledged > 0);
    world.resolve(&["slow/a"]);
    assert_eq!(world.hear(5 * MINUTE), ["pager: AllResolved + -a warning"]);
}

#[test]
fn an_alert_that_begins_again_is_not_acknowledged() {
    let mut world = World::new(escalating(steps()));
    world.fire(&["slow/a"]);
    world.hear(MINUTE);
    acknowledge(&mut world, "instance=a");
    world.resolve(&["slow/a"]);
    world.hear(5 * MINUTE);
    world.fire(&["slow/a"]);
    assert_eq!(
        world.hear(16 * MINUTE),
        ["pager: New +a - warning", "hook: Escalation +a - error"]
    );
}

#[test]
fn a_new_alert_in_an_acknowledged_group_is_told_and_starts_the_clock_again() {
    let mut world = World::new(escalating(steps()));
    world.fire(&["slow/a"]);
    world.hear(MINUTE);
    let target = AcknowledgeTarget::Group("{}:{alertname=\"slow\"}".to_owned());
    world
        .dispatcher
        .acknowledge(&target, "ada", "", world.now)
        .unwrap();
    world.hear(30 * MINUTE);
    world.fire(&["slow/b"]);
    assert_eq!(
        world.hear(20 * MINUTE),
        [
            "pager: Changed +a,b - warning",
            "hook: Escalation +a,b - error"
        ]
    );
}

#[test]
fn what_is_silenced_is_not_escalated_behind_the_silence() {
    let mut world = World::new(escalating(steps()));
    world.fire(&["slow/a"]);
    world.hear(MINUTE);
    let request = SilenceRequest::until(world.now + 16 * MINUTE, "instance=a").because("ada", "x");
    world
        .dispatcher
        .set_silence(request, "1".to_owned(), world.now)
        .unwrap();
    assert!(world.hear(16 * MINUTE).is_empty());
    assert_eq!(world.hear(15 * MINUTE), ["hook: Escalation +a - error"]);
}

#[test]
fn nothing_that_fires_cannot_be_acknowledged() {
    let mut world = World::new(router("hook"));
    let target = AcknowledgeTarget::Group("x".to_owned());
    let answer = world.dispatcher.acknowledge(&target, "ada", "", world.now);
    assert_eq!(answer, Err(AcknowledgeError::NothingFires));
    let answer = world.dispatcher.acknowledge(&target, "", "", world.now);
    assert_eq!(answer, Err(AcknowledgeError::Nobody));
}

#[test]
fn a_step_whose_address_is_busy_is_told_when_it_is_free() {
    let to_pager = Escalation::after(Duration::from_mins(15)).with_step(["pager"]);
    let mut world = World::new(escalating(to_pager));
    world.is_slow = true;
    world.fire(&["slow/a"]);
    assert_eq!(world.hear(MINUTE), ["pager: New +a - warning"]);
    let first = world.under_way.remove(0);
    world
        .dispatcher
        .delivered(&first, Delivery::Accepted, world.now);
    // A second message is under way when the step is due.
    world.fire(&["slow/b"]);
    assert_eq!(world.hear(5 * MINUTE), ["pager: Changed +a,b - warning"]);
    assert!(world.hear(15 * MINUTE).is_empty());
    let second = world.under_way.remove(0);
    world
        .dispatcher
        .delivered(&second, Delivery::Accepted, world.now);
    assert_eq!(world.hear(0), ["pager: Escalation +a,b - error"]);
}

#[test]
fn a_step_that_is_owed_outlives_a_restart_and_an_acknowledgement_ends_it() {
    let to_pager = Escalation::after(Duration::from_mins(15)).with_step(["pager"]);
    let mut world = World::new(escalating(to_pager.clone()));
    world.fire(&["slow/a"]);
    world.hear(MINUTE);
    world.is_slow = true;
    world.fire(&["slow/b"]);
    world.hear(20 * MINUTE);
    world.restart(escalating(to_pager));
    let changed = world.under_way.remove(0);
    acknowledge(&mut world, "alertname=slow");
    world
        .dispatcher
        .delivered(&changed, Delivery::Accepted, world.now);
    assert!(world.hear(MINUTE).is_empty());
}

#[test]
fn an_alert_that_flaps_stays_acknowledged() {
    let mut world = World::with_options(escalating(steps()), DispatchOptions::default());
    world.fire(&["slow/a"]);
    world.hear(MINUTE);
    world.resolve(&["slow/a"]);
    world.hear(30 * SECOND);
    world.fire(&["slow/a"]);
    world.hear(30 * SECOND);
    acknowledge(&mut world, "instance=a");
    world.hear(0);
    for _ in 0..30 {
        world.resolve(&["slow/a"]);
        assert_eq!(world.hear(40 * SECOND), [""; 0]);
        world.fire(&["slow/a"]);
        assert_eq!(world.hear(40 * SECOND), [""; 0]);
    }
}

#[test]
fn an_end_under_a_silence_reaches_whoever_was_told() {
    let mut world = World::new(router("hook"));
    world.fire(&["slow/a", "slow/b"]);
    assert_eq!(world.hear(MINUTE).len(), 1);
    let request =
        SilenceRequest::until(world.now + 60 * MINUTE, "alertname=slow").because("a", "x");
    let silences = &mut world.dispatcher;
    silences
        .set_silence(request, "1".to_owned(), world.now)
        .unwrap();
    world.resolve(&["slow/a"]);
    // The other one fires on, unheard: a message of ends alone would say that all is well.
    assert_eq!(world.hear(20 * MINUTE), [""; 0]);
    world.resolve(&["slow/b"]);
    assert_eq!(world.hear(5 * MINUTE), ["hook: AllResolved + -a,b warning"]);
    // Nobody was told of this one.
    world.fire(&["slow/c"]);
    world.hear(10 * MINUTE);
    world.resolve(&["slow/c"]);
    assert_eq!(world.hear(60 * MINUTE), [""; 0]);
}

#[test]
fn an_end_that_was_held_is_told_when_the_silence_is_over() {
    let mut world = World::new(router("hook"));
    world.fire(&["slow/a", "slow/b"]);
    world.hear(MINUTE);
    let request =
        SilenceRequest::until(world.now + 20 * MINUTE, "alertname=slow").because("a", "x");
    let silences = &mut world.dispatcher;
    silences
        .set_silence(request, "1".to_owned(), world.now)
        .unwrap();
    world.resolve(&["slow/a"]);
    assert_eq!(
        world.hear(30 * MINUTE),
        ["hook: SomeResolved +b -a warning"]
    );
}
