use super::*;

#[test]
fn a_flapping_alert_is_notified_at_most_once_per_interval_and_then_held() {
    let mut simulation = Simulation::with_options(router("hook"), DispatchOptions::default());
    let mut sent = Vec::new();
    // A state change every 40 s for half an hour: Alertmanager would notify for every other change.
    for _ in 0..22 {
        simulation.fire(&["slow/a"]);
        sent.extend(simulation.advance(40 * SECOND));
        simulation.resolve(&["slow/a"]);
        sent.extend(simulation.advance(40 * SECOND));
    }
    assert_eq!(sent, ["hook: New +a - warning"]);
    assert!(simulation.dispatcher.suppressed().flapping > 10);
    // Resolved for ten minutes: the resolved notification is sent.
    assert_eq!(
        simulation.advance(20 * MINUTE),
        ["hook: AllResolved + -a warning"]
    );
}

#[test]
fn a_reopened_group_waits_for_its_group_interval() {
    let mut simulation = Simulation::with_options(router("hook"), DispatchOptions::default());
    simulation.fire(&["slow/a"]);
    simulation.advance(MINUTE);
    simulation.resolve(&["slow/a"]);
    assert_eq!(
        simulation.advance(5 * MINUTE),
        ["hook: AllResolved + -a warning"]
    );
    simulation.fire(&["slow/a"]);
    assert!(simulation.advance(4 * MINUTE).is_empty());
    assert_eq!(simulation.advance(MINUTE), ["hook: New +a - warning"]);
}

#[test]
fn without_damping_a_reopened_group_waits_only_for_the_group_wait() {
    let mut simulation = Simulation::new(router("hook"));
    simulation.fire(&["slow/a"]);
    simulation.advance(MINUTE);
    simulation.resolve(&["slow/a"]);
    simulation.advance(5 * MINUTE);
    simulation.fire(&["slow/a"]);
    assert_eq!(simulation.advance(30 * SECOND), ["hook: New +a - warning"]);
}
