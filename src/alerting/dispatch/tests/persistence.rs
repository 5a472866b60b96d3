use std::time::Duration;

use super::*;
use crate::alerting::parse_matchers;

#[test]
fn after_a_restart_a_firing_alert_is_not_notified_again_and_its_end_is_notified() {
    let mut simulation = Simulation::new(router("hook"));
    simulation.fire(&["slow/a"]);
    assert_eq!(simulation.advance(MINUTE).len(), 1);
    simulation.restart(router("hook"));
    assert!(simulation.advance(4 * MINUTE).is_empty());
    simulation.resolve(&["slow/a"]);
    assert_eq!(
        simulation.advance(5 * MINUTE),
        ["hook: AllResolved + -a warning"]
    );
}

#[test]
fn after_a_restart_an_alert_without_updates_resolves_after_the_grace() {
    let mut simulation = Simulation::new(router("hook"));
    let now = simulation.now;
    simulation
        .dispatcher
        .put([alert("slow/a", now, now + 4 * MINUTE)], time(now));
    simulation.advance(MINUTE);
    // An outage of an hour.
    simulation.now += 60 * MINUTE;
    simulation.restart(router("hook"));
    assert!(simulation.advance(4 * MINUTE).is_empty());
    assert_eq!(
        simulation.advance(7 * MINUTE),
        ["hook: AllResolved + -a warning"]
    );
}

#[test]
fn a_notification_stays_in_flight_over_a_restart_until_the_outbox_reports_its_result() {
    let mut simulation = Simulation::new(router("hook"));
    simulation.holds_notifications = true;
    simulation.fire(&["slow/a"]);
    simulation.advance(MINUTE);
    simulation.restart(router("hook"));
    assert!(simulation.advance(10 * MINUTE).is_empty());
    let delayed = simulation.in_flight.remove(0);
    simulation
        .dispatcher
        .record_delivery(&delayed, Delivery::Accepted, time(simulation.now));
    simulation.holds_notifications = false;
    simulation.resolve(&["slow/a"]);
    assert_eq!(
        simulation.advance(5 * MINUTE),
        ["hook: AllResolved + -a warning"]
    );
}

#[test]
fn escalation_acknowledgement_and_silences_survive_a_restart() {
    let steps = Escalation::after(Duration::from_mins(15)).with_step(["hook"]);
    let mut simulation = Simulation::new(escalating(steps.clone()));
    simulation.fire(&["slow/a", "slower/b"]);
    simulation.advance(MINUTE);
    let target = AcknowledgeTarget::Alerts(parse_matchers("instance=b").unwrap());
    simulation
        .dispatcher
        .acknowledge(&target, "ada", "", time(simulation.now))
        .unwrap();
    let request =
        SilenceRequest::until(simulation.now + 60 * MINUTE, "instance=c").because("ada", "x");
    simulation
        .dispatcher
        .set_silence(request, "1".to_owned(), time(simulation.now))
        .unwrap();
    simulation.advance(0);
    simulation.restart(escalating(steps));
    simulation.fire(&["slow/a", "slower/b", "slowest/c"]);
    assert_eq!(
        simulation.advance(20 * MINUTE),
        ["hook: Escalation +a - error"]
    );
}

#[test]
fn a_group_without_a_route_still_sends_its_resolved_notification() {
    let mut simulation = Simulation::new(router("hook"));
    simulation.fire(&["slow/a"]);
    simulation.advance(MINUTE);
    let other = Routing::to_receiver(Receiver::new("others", ["boss"]));
    let other = Router::new(&other, channels()).unwrap();
    simulation
        .dispatcher
        .reconfigure(other, time(simulation.now));
    assert_eq!(simulation.advance(MINUTE), ["boss: New +a - warning"]);
    simulation.resolve(&["slow/a"]);
    let mut sent = simulation.advance(10 * MINUTE);
    sent.sort();
    assert_eq!(
        sent,
        [
            "boss: AllResolved + -a warning",
            "hook: AllResolved + -a warning"
        ]
    );
}
