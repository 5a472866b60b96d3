//! The dispatcher, told in a small language: a world with one clock, alerts by name, and what each channel hears.

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

/// A dispatcher, its clock, and what was said.
pub(super) struct World {
    pub(super) dispatcher: Dispatcher,
    pub(super) now: i64,
    /// Channels whose deliveries fail.
    pub(super) dead: Vec<&'static str>,
    /// Whether notifications are left under way.
    pub(super) is_slow: bool,
    pub(super) under_way: Vec<Notification>,
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

impl World {
    pub(super) fn new(router: Router) -> Self {
        let options = DispatchOptions::default().with_damping(None);
        Self::with_options(router, options)
    }

    pub(super) fn with_options(router: Router, options: DispatchOptions) -> Self {
        Self {
            dispatcher: Dispatcher::new(router, options),
            now: 1_000_000 * SECOND,
            dead: Vec::new(),
            is_slow: false,
            under_way: Vec::new(),
        }
    }

    /// Lets alerts fire, named `rule/instance`, sent again until they are over.
    pub(super) fn fire(&mut self, names: &[&str]) {
        let now = self.now;
        let alerts = names
            .iter()
            .map(|name| alert(name, now, now + 24 * 60 * MINUTE));
        self.dispatcher.put(alerts, now);
    }

    pub(super) fn resolve(&mut self, names: &[&str]) {
        let now = self.now;
        let alerts = names.iter().map(|name| alert(name, now, now));
        self.dispatcher.put(alerts, now);
    }

    /// Lets time pass, and returns what was heard: `channel: status reason firing resolved`.
    pub(super) fn hear(&mut self, ms: i64) -> Vec<String> {
        let end = self.now + ms;
        let mut heard = Vec::new();
        loop {
            for notification in self.dispatcher.tick(self.now) {
                heard.push(describe(&notification));
                if self.is_slow {
                    self.under_way.push(notification);
                    continue;
                }
                let delivery = if self.dead.contains(&notification.channel.as_str()) {
                    Delivery::Failed {
                        maybe_received: false,
                    }
                } else {
                    Delivery::Accepted
                };
                self.dispatcher.delivered(&notification, delivery, self.now);
            }
            if self.dispatcher.next_due() > end {
                break;
            }
            self.now = self.dispatcher.next_due().max(self.now);
        }
        self.now = end;
        heard
    }

    /// Goes on as after a crash: with what was written down, and nothing else.
    pub(super) fn restart(&mut self, router: Router) {
        self.dispatcher.mark_all_changed();
        let mut saved = Saved::default();
        for change in self.dispatcher.take_changes() {
            match change {
                Change::PutAlert(_, state) => saved.alerts.push(state),
                Change::PutGroup(record) => saved.groups.push(*record),
                Change::PutSilence(silence) => saved.silences.push(silence),
                Change::RemoveAlert(_) | Change::RemoveGroup(_) | Change::RemoveSilence(_) => {}
            }
        }
        saved.outbox.clone_from(&self.under_way);
        let options = DispatchOptions::default().with_damping(None);
        self.dispatcher = Dispatcher::restore(router, options, saved, self.now);
    }
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
    let names = |status: super::super::Status| {
        let alerts = message.alerts.iter().filter(|alert| alert.status == status);
        let instances = alerts.map(|alert| alert.alert.labels.get("instance").unwrap_or("-"));
        instances.collect::<Vec<_>>().join(",")
    };
    let reason = format!("{:?}", message.reason);
    let reason = reason.split(' ').next().unwrap();
    let (firing, resolved) = (
        names(super::super::Status::Firing),
        names(super::super::Status::Resolved),
    );
    format!(
        "{}: {reason} +{firing} -{resolved} {}",
        notification.destination(),
        message.severity
    )
}
