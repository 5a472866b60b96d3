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
