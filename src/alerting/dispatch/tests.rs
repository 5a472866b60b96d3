//! Tests the dispatcher in a simulation with one clock, alerts by name, and a list of the sent notifications.

mod clock_steps;
mod damping;
mod escalation;
mod groups;
mod persistence;
mod storm;

use std::collections::BTreeMap;

use super::*;
use crate::alerting::{ChannelTraits, Escalation, Receiver, Route, Routing};

pub(super) const SECOND: i64 = 1_000;
pub(super) const MINUTE: i64 = 60 * SECOND;

/// A dispatcher with its clock and its channels.
pub(super) struct Simulation {
    pub(super) dispatcher: Dispatcher,
    pub(super) now: i64,
    /// The channels whose deliveries fail.
    pub(super) failing_channels: Vec<&'static str>,
    /// True if notifications stay in flight.
    pub(super) holds_notifications: bool,
    pub(super) in_flight: Vec<Notification>,
}

pub(super) fn channels() -> BTreeMap<String, ChannelTraits> {
    [
        ("hook", ChannelTraits::default()),
        ("quiet", ChannelTraits::default().with_send_resolved(false)),
        ("pager", ChannelTraits::default().with_acknowledgements()),
        ("primary", ChannelTraits::default().with_fallback("backup")),
        ("backup", ChannelTraits::default()),
        ("boss", ChannelTraits::default()),
    ]
    .map(|(name, traits)| (name.to_owned(), traits))
    .into()
}

pub(super) fn router(channel: &str) -> Router {
    let routing = Routing::to_receiver(Receiver::new("all", [channel]));
    let route = Route::to("all").with_group_by(["alertname"]);
    Router::new(&routing.with_route(route), channels()).unwrap()
}

pub(super) fn escalating(escalation: Escalation) -> Router {
    let receiver = Receiver::new("all", ["pager"]).with_escalation(escalation);
    let route = Route::to("all").with_group_by(["alertname"]);
    Router::new(
        &Routing::to_receiver(receiver).with_route(route),
        channels(),
    )
    .unwrap()
}

impl Simulation {
    pub(super) fn new(router: Router) -> Self {
        let options = DispatchOptions::default().without_damping();
        Self::with_options(router, options)
    }

    pub(super) fn with_options(router: Router, options: DispatchOptions) -> Self {
        Self {
            dispatcher: Dispatcher::new(router, options),
            now: 1_000_000 * SECOND,
            failing_channels: Vec::new(),
            holds_notifications: false,
            in_flight: Vec::new(),
        }
    }

    /// Puts firing alerts, named `rule/instance`, that stay valid until they are resolved.
    pub(super) fn fire(&mut self, names: &[&str]) {
        let now = self.now;
        let alerts = names
            .iter()
            .map(|name| alert(name, now, now + 24 * 60 * MINUTE));
        self.dispatcher.put(alerts, time(now));
    }

    pub(super) fn resolve(&mut self, names: &[&str]) {
        let now = self.now;
        let alerts = names.iter().map(|name| alert(name, now, now));
        self.dispatcher.put(alerts, time(now));
    }

    /// Advances the clock by `ms`; returns the sent notifications: `channel: reason +firing -resolved severity`.
    pub(super) fn advance(&mut self, ms: i64) -> Vec<String> {
        let end = self.now + ms;
        let mut sent = Vec::new();
        loop {
            for notification in self.dispatcher.tick(time(self.now)) {
                sent.push(describe(&notification));
                if self.holds_notifications {
                    self.in_flight.push(notification);
                    continue;
                }
                let delivery = if self
                    .failing_channels
                    .contains(&notification.channel.as_str())
                {
                    Delivery::Failed {
                        maybe_received: false,
                    }
                } else {
                    Delivery::Accepted
                };
                self.dispatcher
                    .record_delivery(&notification, delivery, time(self.now));
            }
            if self.dispatcher.next_due() > time(end) {
                break;
            }
            self.now = self.dispatcher.next_due().as_i64().max(self.now);
        }
        self.now = end;
        sent
    }

    /// Restores the dispatcher from its persisted state, as after a crash.
    pub(super) fn restart(&mut self, router: Router) {
        self.dispatcher.mark_all_changed();
        let mut persisted = PersistedState::default();
        for change in self.dispatcher.take_changes() {
            match change {
                Change::PutAlert(_, state) => persisted.alerts.push(state),
                Change::PutGroup(record) => persisted.groups.push(*record),
                Change::PutSilence(silence) => persisted.silences.push(silence),
                Change::RemoveAlert(_) | Change::RemoveGroup(_) | Change::RemoveSilence(_) => {}
            }
        }
        persisted.outbox.clone_from(&self.in_flight);
        let options = DispatchOptions::default().without_damping();
        self.dispatcher = Dispatcher::restore(router, options, persisted, time(self.now));
    }
}

pub(super) fn time(ms: i64) -> UnixMs {
    UnixMs::from_i64(ms)
}

pub(super) fn alert(name: &str, starts_at: i64, ends_at: i64) -> Alert {
    let (rule, instance) = name.split_once('/').unwrap_or((name, ""));
    let labels = [
        ("alertname", rule),
        ("instance", instance),
        ("severity", "warning"),
    ];
    let mut alert = Alert::new(Labels::from_pairs(labels), starts_at);
    alert.ends_at = ends_at;
    alert
}

fn describe(notification: &Notification) -> String {
    let message = &notification.message;
    let names = |status: crate::alerting::MessageStatus| {
        let alerts = message.alerts.iter().filter(|alert| alert.status == status);
        let instances = alerts.map(|alert| alert.alert.labels.get("instance").unwrap_or("-"));
        instances.collect::<Vec<_>>().join(",")
    };
    let reason = format!("{:?}", message.reason);
    let reason = reason.split(' ').next().unwrap();
    let (firing, resolved) = (
        names(crate::alerting::MessageStatus::Firing),
        names(crate::alerting::MessageStatus::Resolved),
    );
    format!(
        "{}: {reason} +{firing} -{resolved} {}",
        notification.address_name(),
        message.severity
    )
}
