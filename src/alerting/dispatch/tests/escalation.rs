use std::time::Duration;

use super::*;
use crate::alerting::parse_matchers;

fn steps() -> Escalation {
    Escalation::after(Duration::from_mins(15))
        .with_step(["hook"])
        .with_step(["boss"])
}

fn acknowledge(simulation: &mut Simulation, matcher: &str) {
    let target = AcknowledgeTarget::Alerts(parse_matchers(matcher).unwrap());
    simulation
        .dispatcher
        .acknowledge(&target, "ada", "on it", time(simulation.now))
        .unwrap();
}

#[test]
fn an_unacknowledged_group_escalates_by_steps_and_all_steps_are_notified_of_its_end() {
    let mut simulation = Simulation::new(escalating(steps()));
    simulation.fire(&["slow/a"]);
    assert_eq!(simulation.advance(MINUTE), ["pager: New +a - warning"]);
    assert_eq!(
        simulation.advance(15 * MINUTE),
        ["hook: Escalation +a - error"]
    );
    assert_eq!(
        simulation.advance(15 * MINUTE),
        ["boss: Escalation +a - critical"]
    );
    assert!(simulation.advance(60 * MINUTE).is_empty());
    simulation.resolve(&["slow/a"]);
    assert_eq!(
        simulation.advance(5 * MINUTE),
        [
            "pager: AllResolved + -a critical",
            "hook: AllResolved + -a critical",
            "boss: AllResolved + -a critical"
        ]
    );
}

#[test]
fn repeating_steps_start_again_after_the_last_step() {
    let mut simulation = Simulation::new(escalating(steps().repeating()));
    simulation.fire(&["slow/a"]);
    assert_eq!(
        simulation.advance(MINUTE + 45 * MINUTE),
        [
            "pager: New +a - warning",
            "hook: Escalation +a - error",
            "boss: Escalation +a - critical",
            "hook: Escalation +a - critical"
        ]
    );
}

#[test]
fn an_acknowledgement_stops_escalation_and_repeats_but_not_the_resolved_notification() {
    let mut simulation = Simulation::new(escalating(steps()));
    simulation.fire(&["slow/a"]);
    assert_eq!(simulation.advance(MINUTE).len(), 1);
    acknowledge(&mut simulation, "instance=a");
    assert_eq!(simulation.advance(0), ["pager: Acknowledged +a - warning"]);
    assert!(simulation.advance(9 * 60 * MINUTE).is_empty());
    assert!(simulation.dispatcher.suppressed().acknowledged > 0);
    simulation.resolve(&["slow/a"]);
    assert_eq!(
        simulation.advance(5 * MINUTE),
        ["pager: AllResolved + -a warning"]
    );
}

#[test]
fn an_alert_that_starts_again_is_not_acknowledged() {
    let mut simulation = Simulation::new(escalating(steps()));
    simulation.fire(&["slow/a"]);
    simulation.advance(MINUTE);
    acknowledge(&mut simulation, "instance=a");
    simulation.resolve(&["slow/a"]);
    simulation.advance(5 * MINUTE);
    simulation.fire(&["slow/a"]);
    assert_eq!(
        simulation.advance(16 * MINUTE),
        ["pager: New +a - warning", "hook: Escalation +a - error"]
    );
}

#[test]
fn a_new_alert_in_an_acknowledged_group_is_notified_and_restarts_the_escalation() {
    let mut simulation = Simulation::new(escalating(steps()));
    simulation.fire(&["slow/a"]);
    simulation.advance(MINUTE);
    let target = AcknowledgeTarget::Group("{}:{alertname=\"slow\"}".to_owned());
    simulation
        .dispatcher
        .acknowledge(&target, "ada", "", time(simulation.now))
        .unwrap();
    simulation.advance(30 * MINUTE);
    simulation.fire(&["slow/b"]);
    assert_eq!(
        simulation.advance(20 * MINUTE),
        [
            "pager: Changed +a,b - warning",
            "hook: Escalation +a,b - error"
        ]
    );
}

#[test]
fn a_silenced_group_is_not_escalated() {
    let mut simulation = Simulation::new(escalating(steps()));
    simulation.fire(&["slow/a"]);
    simulation.advance(MINUTE);
    let request =
        SilenceRequest::until(simulation.now + 16 * MINUTE, "instance=a").because("ada", "x");
    simulation
        .dispatcher
        .set_silence(request, "1".to_owned(), time(simulation.now))
        .unwrap();
    assert!(simulation.advance(16 * MINUTE).is_empty());
    assert_eq!(
        simulation.advance(15 * MINUTE),
        ["hook: Escalation +a - error"]
    );
}

#[test]
fn an_acknowledgement_without_a_firing_alert_or_a_name_is_an_error() {
    let mut simulation = Simulation::new(router("hook"));
    let target = AcknowledgeTarget::Group("x".to_owned());
    let answer = simulation
        .dispatcher
        .acknowledge(&target, "ada", "", time(simulation.now));
    assert_eq!(answer, Err(AcknowledgeError::NoFiringAlert));
    let answer = simulation
        .dispatcher
        .acknowledge(&target, "", "", time(simulation.now));
    assert_eq!(answer, Err(AcknowledgeError::MissingName));
}

#[test]
fn a_step_is_deferred_while_its_address_has_a_notification_in_flight() {
    let to_pager = Escalation::after(Duration::from_mins(15)).with_step(["pager"]);
    let mut simulation = Simulation::new(escalating(to_pager));
    simulation.holds_notifications = true;
    simulation.fire(&["slow/a"]);
    assert_eq!(simulation.advance(MINUTE), ["pager: New +a - warning"]);
    let first = simulation.in_flight.remove(0);
    simulation
        .dispatcher
        .record_delivery(&first, Delivery::Accepted, time(simulation.now));
    // A second notification is in flight when the step is due.
    simulation.fire(&["slow/b"]);
    assert_eq!(
        simulation.advance(5 * MINUTE),
        ["pager: Changed +a,b - warning"]
    );
    assert!(simulation.advance(15 * MINUTE).is_empty());
    let second = simulation.in_flight.remove(0);
    simulation
        .dispatcher
        .record_delivery(&second, Delivery::Accepted, time(simulation.now));
    assert_eq!(simulation.advance(0), ["pager: Escalation +a,b - error"]);
}

#[test]
fn a_deferred_step_survives_a_restart_and_ends_with_an_acknowledgement() {
    let to_pager = Escalation::after(Duration::from_mins(15)).with_step(["pager"]);
    let mut simulation = Simulation::new(escalating(to_pager.clone()));
    simulation.fire(&["slow/a"]);
    simulation.advance(MINUTE);
    simulation.holds_notifications = true;
    simulation.fire(&["slow/b"]);
    simulation.advance(20 * MINUTE);
    simulation.restart(escalating(to_pager));
    let changed = simulation.in_flight.remove(0);
    acknowledge(&mut simulation, "alertname=slow");
    simulation
        .dispatcher
        .record_delivery(&changed, Delivery::Accepted, time(simulation.now));
    assert!(simulation.advance(MINUTE).is_empty());
}

#[test]
fn a_flapping_alert_stays_acknowledged() {
    let mut simulation = Simulation::with_options(escalating(steps()), DispatchOptions::default());
    simulation.fire(&["slow/a"]);
    simulation.advance(MINUTE);
    simulation.resolve(&["slow/a"]);
    simulation.advance(30 * SECOND);
    simulation.fire(&["slow/a"]);
    simulation.advance(30 * SECOND);
    acknowledge(&mut simulation, "instance=a");
    simulation.advance(0);
    for _ in 0..30 {
        simulation.resolve(&["slow/a"]);
        assert_eq!(simulation.advance(40 * SECOND), [""; 0]);
        simulation.fire(&["slow/a"]);
        assert_eq!(simulation.advance(40 * SECOND), [""; 0]);
    }
}

#[test]
fn a_silenced_resolved_alert_reaches_the_notified_addresses() {
    let mut simulation = Simulation::new(router("hook"));
    simulation.fire(&["slow/a", "slow/b"]);
    assert_eq!(simulation.advance(MINUTE).len(), 1);
    let request =
        SilenceRequest::until(simulation.now + 60 * MINUTE, "alertname=slow").because("a", "x");
    let silences = &mut simulation.dispatcher;
    silences
        .set_silence(request, "1".to_owned(), time(simulation.now))
        .unwrap();
    simulation.resolve(&["slow/a"]);
    // The other alert fires but is silenced: a message with resolved alerts only would report the whole group as resolved.
    assert_eq!(simulation.advance(20 * MINUTE), [""; 0]);
    simulation.resolve(&["slow/b"]);
    assert_eq!(
        simulation.advance(5 * MINUTE),
        ["hook: AllResolved + -a,b warning"]
    );
    // No address was notified of this alert.
    simulation.fire(&["slow/c"]);
    simulation.advance(10 * MINUTE);
    simulation.resolve(&["slow/c"]);
    assert_eq!(simulation.advance(60 * MINUTE), [""; 0]);
}

#[test]
fn a_held_resolved_alert_is_sent_when_the_silence_ends() {
    let mut simulation = Simulation::new(router("hook"));
    simulation.fire(&["slow/a", "slow/b"]);
    simulation.advance(MINUTE);
    let request =
        SilenceRequest::until(simulation.now + 20 * MINUTE, "alertname=slow").because("a", "x");
    let silences = &mut simulation.dispatcher;
    silences
        .set_silence(request, "1".to_owned(), time(simulation.now))
        .unwrap();
    simulation.resolve(&["slow/a"]);
    assert_eq!(
        simulation.advance(30 * MINUTE),
        ["hook: SomeResolved +b -a warning"]
    );
}
