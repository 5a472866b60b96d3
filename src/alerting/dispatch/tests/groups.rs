use super::*;
use crate::alerting::InhibitRule;

#[test]
fn a_group_waits_and_then_reports_changes_at_each_group_interval() {
    let mut simulation = Simulation::new(router("hook"));
    simulation.fire(&["slow/a", "slow/b"]);
    assert!(simulation.advance(30 * SECOND - 1).is_empty());
    assert_eq!(simulation.advance(1), ["hook: New +a,b - warning"]);
    simulation.now += MINUTE;
    simulation.fire(&["slow/c"]);
    assert_eq!(
        simulation.advance(4 * MINUTE),
        ["hook: Changed +a,b,c - warning"]
    );
    simulation.resolve(&["slow/b"]);
    assert_eq!(
        simulation.advance(5 * MINUTE),
        ["hook: SomeResolved +a,c -b warning"]
    );
    assert!(simulation.advance(60 * MINUTE).is_empty());
    simulation.resolve(&["slow/a", "slow/c"]);
    assert_eq!(
        simulation.advance(5 * MINUTE),
        ["hook: AllResolved + -a,c warning"]
    );
    assert!(simulation.advance(24 * 60 * MINUTE).is_empty());
}

#[test]
fn an_alert_that_resolves_within_the_group_wait_is_not_notified() {
    let mut simulation = Simulation::new(router("hook"));
    simulation.fire(&["slow/a"]);
    simulation.now += 20 * SECOND;
    simulation.resolve(&["slow/a"]);
    assert!(simulation.advance(60 * MINUTE).is_empty());
}

#[test]
fn an_alert_older_than_the_group_wait_is_notified_at_once() {
    let mut simulation = Simulation::new(router("hook"));
    let now = simulation.now;
    simulation.dispatcher.put(
        [alert("slow/a", now - 31 * SECOND, now + MINUTE)],
        time(now),
    );
    assert_eq!(simulation.advance(0), ["hook: New +a - warning"]);
}

#[test]
fn an_alert_without_updates_resolves_when_its_validity_ends() {
    let mut simulation = Simulation::new(router("hook"));
    let now = simulation.now;
    simulation
        .dispatcher
        .put([alert("slow/a", now, now + 4 * MINUTE)], time(now));
    assert_eq!(
        simulation.advance(10 * MINUTE),
        ["hook: New +a - warning", "hook: AllResolved + -a warning"]
    );
}

#[test]
fn an_unchanged_group_is_repeated_after_the_repeat_interval() {
    let mut simulation = Simulation::new(router("hook"));
    simulation.fire(&["slow/a"]);
    assert_eq!(simulation.advance(MINUTE).len(), 1);
    assert!(simulation.advance(4 * 60 * MINUTE - 2 * MINUTE).is_empty());
    assert_eq!(
        simulation.advance(7 * MINUTE),
        ["hook: Repeat +a - warning"]
    );
}

#[test]
fn a_channel_without_send_resolved_gets_firing_notifications_only() {
    let mut simulation = Simulation::new(router("quiet"));
    simulation.fire(&["slow/a"]);
    assert_eq!(simulation.advance(MINUTE), ["quiet: New +a - warning"]);
    simulation.resolve(&["slow/a"]);
    assert!(simulation.advance(10 * MINUTE).is_empty());
    simulation.fire(&["slow/a"]);
    assert_eq!(simulation.advance(MINUTE), ["quiet: New +a - warning"]);
}

#[test]
fn a_silence_suppresses_an_alert_until_the_silence_ends() {
    let mut simulation = Simulation::new(router("hook"));
    let request =
        SilenceRequest::until(simulation.now + 8 * MINUTE, "instance=a").because("ada", "known");
    let id = simulation
        .dispatcher
        .set_silence(request, "1".to_owned(), time(simulation.now))
        .unwrap();
    simulation.fire(&["slow/a", "slow/b"]);
    assert_eq!(simulation.advance(8 * MINUTE), ["hook: New +b - warning"]);
    assert_eq!(
        simulation.advance(5 * MINUTE),
        ["hook: Changed +a,b - warning"]
    );
    assert!(simulation.dispatcher.suppressed().silence >= 2);
    assert!(
        simulation
            .dispatcher
            .expire_silence(&id, time(simulation.now))
            .is_err()
    );
}

#[test]
fn an_inhibited_alert_is_notified_after_its_source_resolves() {
    let routing = Routing::to_receiver(Receiver::new("all", ["hook"]))
        .with_inhibit_rule(InhibitRule::new("alertname=down", "alertname=slow", &[]));
    let mut simulation = Simulation::new(Router::new(&routing, channels()).unwrap());
    simulation.fire(&["slow/a", "down/x"]);
    assert_eq!(simulation.advance(MINUTE), ["hook: New +x - warning"]);
    simulation.resolve(&["down/x"]);
    assert_eq!(
        simulation.advance(5 * MINUTE),
        ["hook: Changed +a -x warning"]
    );
}

#[test]
fn a_muted_route_sends_no_notification_until_the_interval_ends() {
    let text = "
route: { receiver: all, routes: [{ matchers: [alertname=slow], mute_time_intervals: [early] }] }
receivers: [{ name: all, channels: [hook] }]
time_intervals:
  - { name: early, time_intervals: [{ times: [{ start_time: '00:00', end_time: '14:00' }] }] }";
    let routing: Routing = serde_saphyr::from_str(text).unwrap();
    let mut simulation = Simulation::new(Router::new(&routing, channels()).unwrap());
    // The simulation starts at 13:46:40 UTC.
    simulation.fire(&["slow/a"]);
    assert!(simulation.advance(13 * MINUTE).is_empty());
    assert_eq!(simulation.advance(5 * MINUTE), ["hook: New +a - warning"]);
    assert!(simulation.dispatcher.suppressed().mute_interval > 0);
}

#[test]
fn a_failed_delivery_is_retried_at_the_next_interval_and_an_unneeded_resolved_notification_is_not_sent()
 {
    let mut simulation = Simulation::new(router("hook"));
    simulation.failing_channels.push("hook");
    simulation.fire(&["slow/a"]);
    assert_eq!(
        simulation.advance(6 * MINUTE),
        ["hook: New +a - warning", "hook: New +a - warning"]
    );
    simulation.resolve(&["slow/a"]);
    assert!(simulation.advance(10 * MINUTE).is_empty());
}

#[test]
fn a_failed_resolved_notification_is_retried() {
    let mut simulation = Simulation::new(router("hook"));
    simulation.fire(&["slow/a"]);
    assert_eq!(simulation.advance(MINUTE).len(), 1);
    simulation.failing_channels.push("hook");
    simulation.resolve(&["slow/a"]);
    assert_eq!(
        simulation.advance(5 * MINUTE),
        ["hook: AllResolved + -a warning"]
    );
    simulation.failing_channels.clear();
    assert_eq!(
        simulation.advance(5 * MINUTE),
        ["hook: AllResolved + -a warning"]
    );
    assert!(simulation.advance(60 * MINUTE).is_empty());
}

#[test]
fn an_alert_that_resolves_while_its_notification_is_in_flight_gets_a_resolved_notification() {
    let mut simulation = Simulation::new(router("hook"));
    simulation.holds_notifications = true;
    simulation.fire(&["slow/a"]);
    assert_eq!(simulation.advance(MINUTE).len(), 1);
    simulation.resolve(&["slow/a"]);
    // The notification is still in flight at the flush after 5:30.
    assert!(simulation.advance(6 * MINUTE).is_empty());
    let delayed = simulation.in_flight.remove(0);
    simulation.holds_notifications = false;
    simulation
        .dispatcher
        .record_delivery(&delayed, Delivery::Accepted, time(simulation.now));
    assert_eq!(
        simulation.advance(5 * MINUTE),
        ["hook: AllResolved + -a warning"]
    );
}

#[test]
fn the_fallback_gets_failed_and_resolved_notifications_but_no_repeats() {
    let mut simulation = Simulation::new(router("primary"));
    simulation.failing_channels.push("primary");
    simulation.fire(&["slow/a"]);
    assert_eq!(
        simulation.advance(MINUTE),
        ["primary: New +a - warning", "backup: Fallback +a - warning"]
    );
    assert_eq!(
        simulation.advance(5 * MINUTE),
        ["primary: New +a - warning"]
    );
    simulation.failing_channels.clear();
    assert_eq!(
        simulation.advance(5 * MINUTE),
        ["primary: New +a - warning"]
    );
    simulation.resolve(&["slow/a"]);
    assert_eq!(
        simulation.advance(5 * MINUTE),
        [
            "primary: AllResolved + -a warning",
            "backup: AllResolved + -a warning"
        ]
    );
}

#[test]
fn an_address_that_may_have_been_notified_gets_the_resolved_notification() {
    let mut simulation = Simulation::new(router("hook"));
    simulation.holds_notifications = true;
    simulation.fire(&["slow/a"]);
    simulation.advance(MINUTE);
    let lost = simulation.in_flight.remove(0);
    simulation.holds_notifications = false;
    let unknown = Delivery::Failed {
        maybe_received: true,
    };
    simulation
        .dispatcher
        .record_delivery(&lost, unknown, time(simulation.now));
    simulation.resolve(&["slow/a"]);
    assert_eq!(
        simulation.advance(5 * MINUTE),
        ["hook: AllResolved + -a warning"]
    );
}
