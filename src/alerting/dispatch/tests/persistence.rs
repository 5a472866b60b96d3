use std::time::Duration;

use super::*;
use crate::alerting::parse_matchers;

#[test]
fn after_a_restart_a_firing_alert_is_not_told_twice_and_its_end_is_told() {
    let mut world = World::new(router("hook"));
    world.fire(&["slow/a"]);
    assert_eq!(world.hear(MINUTE).len(), 1);
    world.restart(router("hook"));
    assert!(world.hear(4 * MINUTE).is_empty());
    world.resolve(&["slow/a"]);
    assert_eq!(world.hear(5 * MINUTE), ["hook: AllResolved + -a warning"]);
}

#[test]
fn after_a_restart_an_alert_that_nobody_sends_again_ends_after_the_grace() {
    let mut world = World::new(router("hook"));
    let now = world.now;
    world
        .dispatcher
        .put([alert("slow/a", now, now + 4 * MINUTE)], now);
    world.hear(MINUTE);
    // Down for an hour.
    world.now += 60 * MINUTE;
    world.restart(router("hook"));
    assert!(world.hear(4 * MINUTE).is_empty());
    assert_eq!(world.hear(7 * MINUTE), ["hook: AllResolved + -a warning"]);
}

#[test]
fn what_was_under_way_still_is_and_is_settled_by_the_outbox() {
    let mut world = World::new(router("hook"));
    world.is_slow = true;
    world.fire(&["slow/a"]);
    world.hear(MINUTE);
    world.restart(router("hook"));
    assert!(world.hear(10 * MINUTE).is_empty());
    let late = world.under_way.remove(0);
    world
        .dispatcher
        .delivered(&late, Delivery::Accepted, world.now);
    world.is_slow = false;
    world.resolve(&["slow/a"]);
    assert_eq!(world.hear(5 * MINUTE), ["hook: AllResolved + -a warning"]);
}

#[test]
fn escalation_acknowledgement_and_silences_survive() {
    let steps = Escalation::after(Duration::from_mins(15)).with_step(["hook"]);
    let mut world = World::new(escalating(steps.clone()));
    world.fire(&["slow/a", "slower/b"]);
    world.hear(MINUTE);
    let target = AcknowledgeTarget::Alerts(parse_matchers("instance=b").unwrap());
    world
        .dispatcher
        .acknowledge(&target, "ada", "", world.now)
        .unwrap();
    let request = SilenceRequest::until(world.now + 60 * MINUTE, "instance=c").because("ada", "x");
    world
        .dispatcher
        .set_silence(request, "1".to_owned(), world.now)
        .unwrap();
    world.hear(0);
    world.restart(escalating(steps));
    world.fire(&["slow/a", "slower/b", "slowest/c"]);
    assert_eq!(world.hear(20 * MINUTE), ["hook: Escalation +a - error"]);
}

#[test]
fn a_group_whose_route_is_gone_still_tells_its_end_to_whoever_knows() {
    let mut world = World::new(router("hook"));
    world.fire(&["slow/a"]);
    world.hear(MINUTE);
    let other = Routing::to_receiver(Receiver::new("others", ["boss"]));
    let other = Router::new(&other, channels()).unwrap();
    world.dispatcher.reconfigure(other, world.now);
    assert_eq!(world.hear(MINUTE), ["boss: New +a - warning"]);
    world.resolve(&["slow/a"]);
    let mut heard = world.hear(10 * MINUTE);
    heard.sort();
    assert_eq!(
        heard,
        [
            "boss: AllResolved + -a warning",
            "hook: AllResolved + -a warning"
        ]
    );
}
