use super::*;
use crate::alerting::InhibitRule;

#[test]
fn a_group_waits_then_tells_what_changed_at_each_interval() {
    let mut world = World::new(router("hook"));
    world.fire(&["slow/a", "slow/b"]);
    assert!(world.hear(30 * SECOND - 1).is_empty());
    assert_eq!(world.hear(1), ["hook: New +a,b - warning"]);
    world.now += MINUTE;
    world.fire(&["slow/c"]);
    assert_eq!(world.hear(4 * MINUTE), ["hook: Changed +a,b,c - warning"]);
    world.resolve(&["slow/b"]);
    assert_eq!(
        world.hear(5 * MINUTE),
        ["hook: SomeResolved +a,c -b warning"]
    );
    assert!(world.hear(60 * MINUTE).is_empty());
    world.resolve(&["slow/a", "slow/c"]);
    assert_eq!(world.hear(5 * MINUTE), ["hook: AllResolved + -a,c warning"]);
    assert!(world.hear(24 * 60 * MINUTE).is_empty());
}

#[test]
fn an_alert_that_is_over_within_the_wait_is_never_told() {
    let mut world = World::new(router("hook"));
    world.fire(&["slow/a"]);
    world.now += 20 * SECOND;
    world.resolve(&["slow/a"]);
    assert!(world.hear(60 * MINUTE).is_empty());
}

#[test]
fn an_alert_older_than_the_wait_is_told_at_once() {
    let mut world = World::new(router("hook"));
    let now = world.now;
    world
        .dispatcher
        .put([alert("slow/a", now - 31 * SECOND, now + MINUTE)], now);
    assert_eq!(world.hear(0), ["hook: New +a - warning"]);
}

#[test]
fn an_alert_that_nobody_sends_again_is_over_when_it_expires() {
    let mut world = World::new(router("hook"));
    let now = world.now;
    world
        .dispatcher
        .put([alert("slow/a", now, now + 4 * MINUTE)], now);
    assert_eq!(
        world.hear(10 * MINUTE),
        ["hook: New +a - warning", "hook: AllResolved + -a warning"]
    );
}

#[test]
fn an_unchanged_group_is_told_again_after_the_repeat_interval() {
    let mut world = World::new(router("hook"));
    world.fire(&["slow/a"]);
    assert_eq!(world.hear(MINUTE).len(), 1);
    assert!(world.hear(4 * 60 * MINUTE - 2 * MINUTE).is_empty());
    assert_eq!(world.hear(7 * MINUTE), ["hook: Repeat +a - warning"]);
}

#[test]
fn a_channel_without_resolves_hears_none_but_hears_the_next_fire() {
    let mut world = World::new(router("quiet"));
    world.fire(&["slow/a"]);
    assert_eq!(world.hear(MINUTE), ["quiet: New +a - warning"]);
    world.resolve(&["slow/a"]);
    assert!(world.hear(10 * MINUTE).is_empty());
    world.fire(&["slow/a"]);
    assert_eq!(world.hear(MINUTE), ["quiet: New +a - warning"]);
}

#[test]
fn a_silence_holds_and_its_end_lets_the_alert_out() {
    let mut world = World::new(router("hook"));
    let request =
        SilenceRequest::until(world.now + 8 * MINUTE, "instance=a").because("ada", "known");
    let id = world
        .dispatcher
        .set_silence(request, "1".to_owned(), world.now)
        .unwrap();
    world.fire(&["slow/a", "slow/b"]);
    assert_eq!(world.hear(8 * MINUTE), ["hook: New +b - warning"]);
    assert_eq!(world.hear(5 * MINUTE), ["hook: Changed +a,b - warning"]);
    assert!(world.dispatcher.suppressed().silence >= 2);
    assert!(world.dispatcher.expire_silence(&id, world.now).is_err());
}

#[test]
fn an_inhibited_alert_is_told_once_its_source_is_over() {
    let routing = Routing::to_receiver(Receiver::new("all", ["hook"]))
        .with_inhibit_rule(InhibitRule::new("alertname=down", "alertname=slow", &[]));
    let mut world = World::new(Router::new(&routing, channels()).unwrap());
    world.fire(&["slow/a", "down/x"]);
    assert_eq!(world.hear(MINUTE), ["hook: New +x - warning"]);
    world.resolve(&["down/x"]);
    assert_eq!(world.hear(5 * MINUTE), ["hook: Changed +a -x warning"]);
}

#[test]
fn a_muted_route_says_nothing_until_its_time_is_over() {
    let text = "
route: { receiver: all, routes: [{ matchers: [alertname=slow], mute_time_intervals: [early] }] }
receivers: [{ name: all, channels: [hook] }]
time_intervals:
  - { name: early, time_intervals: [{ times: [{ start_time: '00:00', end_time: '14:00' }] }] }";
    let routing: Routing = serde_saphyr::from_str(text).unwrap();
    let mut world = World::new(Router::new(&routing, channels()).unwrap());
    // 13:46:40 UTC.
    world.fire(&["slow/a"]);
    assert!(world.hear(13 * MINUTE).is_empty());
    assert_eq!(world.hear(5 * MINUTE), ["hook: New +a - warning"]);
    assert!(world.dispatcher.suppressed().mute_interval > 0);
}

#[test]
fn a_failed_delivery_is_tried_again_at_the_next_interval_and_a_resolve_nobody_needs_is_not_sent() {
    let mut world = World::new(router("hook"));
    world.dead.push("hook");
    world.fire(&["slow/a"]);
    assert_eq!(
        world.hear(6 * MINUTE),
        ["hook: New +a - warning", "hook: New +a - warning"]
    );
    world.resolve(&["slow/a"]);
    assert!(world.hear(10 * MINUTE).is_empty());
}

#[test]
fn a_failed_resolve_is_tried_again() {
    let mut world = World::new(router("hook"));
    world.fire(&["slow/a"]);
    assert_eq!(world.hear(MINUTE).len(), 1);
    world.dead.push("hook");
    world.resolve(&["slow/a"]);
    assert_eq!(world.hear(5 * MINUTE), ["hook: AllResolved + -a warning"]);
    world.dead.clear();
    assert_eq!(world.hear(5 * MINUTE), ["hook: AllResolved + -a warning"]);
    assert!(world.hear(60 * MINUTE).is_empty());
}

#[test]
fn an_alert_that_ends_while_its_message_is_under_way_still_gets_its_end() {
    let mut world = World::new(router("hook"));
    world.is_slow = true;
    world.fire(&["slow/a"]);
    assert_eq!(world.hear(MINUTE).len(), 1);
    world.resolve(&["slow/a"]);
    // The flush at 5:30 finds the message under way.
    assert!(world.hear(6 * MINUTE).is_empty());
    let late = world.under_way.remove(0);
    world.is_slow = false;
    world
        .dispatcher
        .delivered(&late, Delivery::Accepted, world.now);
    assert_eq!(world.hear(5 * MINUTE), ["hook: AllResolved + -a warning"]);
}

#[test]
fn the_fallback_hears_what_failed_and_its_end_but_no_repeats() {
    let mut world = World::new(router("primary"));
    world.dead.push("primary");
    world.fire(&["slow/a"]);
    assert_eq!(
        world.hear(MINUTE),
        ["primary: New +a - warning", "backup: Fallback +a - warning"]
    );
    assert_eq!(world.hear(5 * MINUTE), ["primary: New +a - warning"]);
    world.dead.clear();
    assert_eq!(world.hear(5 * MINUTE), ["primary: New +a - warning"]);
    world.resolve(&["slow/a"]);
    assert_eq!(
        world.hear(5 * MINUTE),
        [
            "primary: AllResolved + -a warning",
            "backup: AllResolved + -a warning"
        ]
    );
}

#[test]
fn whoever_may_have_been_told_hears_the_end() {
    let mut world = World::new(router("hook"));
    world.is_slow = true;
    world.fire(&["slow/a"]);
    world.hear(MINUTE);
    let lost = world.under_way.remove(0);
    world.is_slow = false;
    let unknown = Delivery::Failed {
        maybe_received: true,
    };
    world.dispatcher.delivered(&lost, unknown, world.now);
    world.resolve(&["slow/a"]);
    assert_eq!(world.hear(5 * MINUTE), ["hook: AllResolved + -a warning"]);
}
