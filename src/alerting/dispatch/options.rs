//! Defines the options of the dispatcher.

use std::time::Duration;

use crate::settings::setters;

/// The limits and timing of the dispatcher.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DispatchOptions {
    /// The URL at which a browser reaches the observatory: `externalURL` of every message.
    pub external_url: String,
    /// The maximum number of known alerts. Default: 50,000.
    pub max_alerts: usize,
    /// The maximum number of open groups. Default: 10,000.
    pub max_groups: usize,
    /// The damping of flapping alerts; `None` for Alertmanager's timing. Default: on.
    pub(crate) damping: Option<Damping>,
    /// The minimum time for which the delivery of a notification is retried; a longer group interval extends it.
    /// Default: 5 min.
    pub delivery_time: Duration,
    /// The time for which a firing alert stays valid after a restart without an update from its rule: four of
    /// Prometheus's resend delays (1 min each) and a margin. Default: 5 min.
    pub restart_grace: Duration,
}

/// The damping of flapping alerts.
///
/// A reopened group is notified when its last group interval ends, not after its group wait: at most one message per
/// group interval. An alert that changes its state `transitions` times within `window` flaps: from then on it counts as
/// firing until it has been resolved for `hold`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damping {
    /// The number of state changes that make an alert flap. Default: 4.
    pub(super) transitions: usize,
    /// The time within which the state changes are counted. Default: 30 min.
    pub(super) window: Duration,
    /// The time for which a flapping alert must be resolved before its receivers are notified. Default: 10 min.
    pub(super) hold: Duration,
}

impl Default for DispatchOptions {
    fn default() -> Self {
        Self {
            external_url: String::new(),
            max_alerts: 50_000,
            max_groups: 10_000,
            damping: Some(Damping::default()),
            delivery_time: Duration::from_mins(5),
            restart_grace: Duration::from_mins(5),
        }
    }
}

impl Default for Damping {
    fn default() -> Self {
        Self {
            transitions: 4,
            window: Duration::from_mins(30),
            hold: Duration::from_mins(10),
        }
    }
}

impl DispatchOptions {
    /// Sets the URL at which a browser reaches the observatory.
    #[must_use]
    pub fn with_external_url(mut self, url: impl Into<String>) -> Self {
        self.external_url = url.into();
        self
    }

    /// Sets the maximum numbers of alerts and groups.
    #[must_use]
    pub fn with_limits(mut self, max_alerts: usize, max_groups: usize) -> Self {
        (self.max_alerts, self.max_groups) = (max_alerts, max_groups);
        self
    }

    /// Turns damping off, so that the timing is Alertmanager's.
    #[must_use]
    pub fn without_damping(mut self) -> Self {
        self.damping = None;
        self
    }

    setters! {
        /// Sets the minimum time for which the delivery of a notification is retried.
        with_delivery_time(time: Duration) { self.delivery_time = time }

        /// Sets the time for which a firing alert stays valid after a restart.
        with_restart_grace(grace: Duration) { self.restart_grace = grace }
    }
}
