//! Defines the options that apply to all rules.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::settings::setters;

/// Options that apply to all rules.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleOptions {
    /// Time between two evaluations of a group that sets no interval. Default: 1 min, as in Prometheus.
    pub interval: Duration,
    /// Time after which an active alert is sent again. Default: 1 min, as in Prometheus.
    pub resend_delay: Duration,
    /// Maximum number of alerts or series per rule, for groups that set no limit. Default: 20,000.
    pub limit: usize,
    /// Maximum downtime after which a pending alert is restored. Default: 1 h, as in Prometheus.
    pub outage_tolerance: Duration,
    /// Minimum time that a restored pending alert stays pending. Default: 10 min, as in Prometheus.
    pub grace_period: Duration,
    /// Maximum time after a restart for which an alert that was firing before waits for a sample of every metric that its
    /// expression names, before the alert can resolve. Default: 5 min.
    pub restart_hold: Duration,
    /// Labels added to alerts that do not set them when they are sent. Default: none.
    pub external_labels: BTreeMap<String, String>,
    /// URL at which other machines reach this process, for links. Default: empty.
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
            restart_hold: Duration::from_mins(5),
            external_labels: BTreeMap::new(),
            external_url: String::new(),
        }
    }
}

impl RuleOptions {
    setters! {
        /// Sets the time between two evaluations of a group that sets no interval.
        with_interval(interval: Duration) { self.interval = interval }

        /// Sets the time after which an active alert is sent again.
        with_resend_delay(delay: Duration) { self.resend_delay = delay }

        /// Sets the maximum time after a restart for which an alert that was firing before waits for a sample of every metric
        /// that its expression names.
        with_restart_hold(hold: Duration) { self.restart_hold = hold }

        /// Sets the maximum number of alerts or series per rule, for groups that set no limit.
        with_limit(limit: usize) { self.limit = limit }

        /// Adds a label to alerts that do not set it when they are sent.
        with_external_label(name: impl Into<String>, value: impl Into<String>) {
            self.external_labels.insert(name.into(), value.into())
        }

        /// Sets the URL at which other machines reach this process.
        with_external_url(url: impl Into<String>) { self.external_url = url.into() }
    }
}
