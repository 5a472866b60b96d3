//! Prepares the registry for an exposition: updates derived gauges, and attaches times and resource.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    Registry,
    derived::Derived,
    exposition::{Moment, ResourceAttributes},
};
use crate::runtime::clock::{Clock, moved};

/// The registry of an observatory with everything that an exposition of it needs.
pub(crate) struct Gatherer {
    pub(crate) registry: Registry,
    pub(crate) clock: Clock,
    derived: Derived,
    resource: ResourceAttributes,
    /// The readings of both clocks at the start.
    origin: Duration,
    started: SystemTime,
}

impl Gatherer {
    /// Starts to measure uptime now.
    pub(crate) fn new(registry: Registry, clock: Clock, resource: ResourceAttributes) -> Self {
        Self {
            origin: clock.monotonic(),
            started: clock.wall(),
            derived: Derived::default(),
            registry,
            clock,
            resource,
        }
    }

    /// Monotonic time since the start.
    pub(crate) fn uptime(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.origin)
    }

    /// Returns the time of the start, moved by the steps of the wall clock since: never later than the wall clock.
    pub(crate) fn started(&self) -> SystemTime {
        moved(self.started, self.clock.steps().total_ms)
    }

    /// Updates the gauges that are derived from counters.
    pub(crate) fn update_derived(&self) {
        self.derived.update(&self.registry, self.uptime());
    }

    /// Updates the derived gauges, and returns the times and the resource of an exposition.
    pub(crate) fn gather(&self) -> Moment {
        let now = self.uptime();
        self.derived.update(&self.registry, now);
        let since_epoch = |time: SystemTime| {
            time.duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default()
        };
        Moment {
            now: Some(now),
            wall: since_epoch(self.clock.wall()),
            start: since_epoch(self.started()),
            resource: Arc::clone(&self.resource),
        }
    }
}
