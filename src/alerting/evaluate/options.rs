//! What holds for all rules.

use std::collections::BTreeMap;
use std::time::Duration;

/// What holds for all rules.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleOptions {
    /// Time between two evaluations of a group that names none. Default: 1 min, as Prometheus.
    pub interval: Duration,
    /// Time after which an alert is told again. Default: 1 min, as Prometheus.
    pub resend_delay: Duration,
    /// Alerts or series that a rule may have where its group names no limit. Default: 20,000.
    pub limit: usize,
    /// A pending alert starts anew when the restart took longer. Default: 1 h, as Prometheus.
    pub outage_tolerance: Duration,
    /// A pending alert has at least this long to go after a restart. Default: 10 min, as Prometheus.
    pub grace_period: Duration,
    /// Labels that every alert gets when it is told, where it does not have them. Default: none.
    pub external_labels: BTreeMap<String, String>,
    /// Where this process is reached from outside, for links. Default: empty.
    pub external_url: String,
}

impl Default for RuleOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_mins(1),
            resend_delay: Duration::from_mins(1),
            limit: 20_000,
            outage_tolerance: Duration::from_hours(1),
            grace_period: Duration::from_mins(10),
            external_labels: BTreeMap::new(),
            external_url: String::new(),
        }
    }
}

impl RuleOptions {
    /// Sets the time between two evaluations of a group that names none.
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets the time after which an alert is told again.
    #[must_use]
    pub fn with_resend_delay(mut self, delay: Duration) -> Self {
        self.resend_delay = delay;
        self
    }

    /// Sets how many alerts or series a rule may have where its group names no limit.
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Adds a label that every alert gets when it is told.
    #[must_use]
    pub fn with_external_label(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.external_labels.insert(name.into(), value.into());
        self
    }

    /// Sets where this process is reached from outside.
    #[must_use]
    pub fn with_external_url(mut self, url: impl Into<String>) -> Self {
        self.external_url = url.into();
        self
    }
}
