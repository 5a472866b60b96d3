use super::*;

#[test]
fn a_flapping_alert_is_told_at_most_once_per_interval_and_then_held() {
    let mut world = World::with_options(router("hook"), DispatchOptions::default());
    let mut heard = Vec::new();
    // On and off every 40 s for half an hour: Alertmanager would tell every other time.
    for _ in 0..22 {
        world.fire(&["slow/a"]);
        heard.extend(world.hear(40 * SECOND));
        world.resolve(&["slow/a"]);
        heard.extend(world.hear(40 * SECOND));
    }
    assert_eq!(heard, ["hook: New +a - warning"]);
    assert!(world.dispatcher.suppressed().flapping > 10);
    // Quiet for ten minutes: over.
    assert_eq!(world.hear(20 * MINUTE), ["hook: AllResolved + -a warning"]);
}

#[test]
fn a_group_that_opens_again_waits_for_its_interval() {
    let mut world = World::with_options(router("hook"), DispatchOptions::default());
    world.fire(&["slow/a"]);
    world.hear(MINUTE);
    world.resolve(&["slow/a"]);
    assert_eq!(world.hear(5 * MINUTE), ["hook: AllResolved + -a warning"]);
    world.fire(&["slow/a"]);
    assert!(world.hear(4 * MINUTE).is_empty());
    assert_eq!(world.hear(MINUTE), ["hook: New +a - warning"]);
}

#[test]
fn without_damping_it_waits_only_for_the_group_wait() {
    let mut world = World::new(router("hook"));
    world.fire(&["slow/a"]);
    world.hear(MINUTE);
    world.resolve(&["slow/a"]);
    world.hear(5 * MINUTE);
    world.fire(&["slow/a"]);
    assert_eq!(world.hear(30 * SECOND), ["hook: New +a - warning"]);
}
