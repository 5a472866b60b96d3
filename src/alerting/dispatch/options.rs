//! What a dispatcher can be told to do differently.

use std::time::Duration;

/// Limits and habits of a [`Dispatcher`](super::Dispatcher).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DispatchOptions {
    /// Where a browser finds the observatory: `externalURL` of every message.
    pub external_url: String,
    /// Alerts that are known at one time. Default: 50,000.
    pub max_alerts: usize,
    /// Groups that are open at one time. Default: 10,000.
    pub max_groups: usize,
    /// How flapping is held down; `None` for Alertmanager's timing to the letter.
    pub damping: Option<Damping>,
    /// The least time that a delivery is tried for; a longer group interval extends it. Default: 5 min.
    pub delivery_time: Duration,
    /// How long a firing alert holds good after a restart without anybody saying so again: four of Prometheus's
    /// re-send delays and a little. Default: 5 min.
    pub restart_grace: Duration,
}

/// How flapping is held down.
///
/// A group that was told of and opens again is told of when its last group interval is over, not after its group
/// wait: at most one message per group interval. An alert that went on and off `transitions` times within `window`
/// flaps: from then on it counts as firing until it has been over for `hold`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damping {
    /// How many changes make a flap. Default: 4.
    pub transitions: usize,
    /// Within which time. Default: 30 min.
    pub window: Duration,
    /// How long an alert that flaps must be over before that is told. Default: 10 min.
    pub hold: Duration,
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
    /// Sets where a browser finds the observatory.
    #[must_use]
    pub fn with_external_url(mut self, url: impl Into<String>) -> Self {
        self.external_url = url.into();
        self
    }

    /// Limits alerts and groups.
    #[must_use]
    pub fn with_limits(mut self, max_alerts: usize, max_groups: usize) -> Self {
        (self.max_alerts, self.max_groups) = (max_alerts, max_groups);
        self
    }

    /// Sets how flapping is held down.
    #[must_use]
    pub fn with_damping(mut self, damping: Option<Damping>) -> Self {
        self.damping = damping;
        self
    }

    /// Sets the least time that a delivery is tried for.
    #[must_use]
    pub fn with_delivery_time(mut self, time: Duration) -> Self {
        self.delivery_time = time;
        self
    }

    /// Sets how long a firing alert holds good after a restart.
    #[must_use]
    pub fn with_restart_grace(mut self, grace: Duration) -> Self {
        self.restart_grace = grace;
        self
    }
}
