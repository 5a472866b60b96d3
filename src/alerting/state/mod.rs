//! Tracks the states pending, firing and resolved of a rule's alerts, as Prometheus does.
//!
//! The module is pure: it takes query results and the time, and returns states and the alerts to be sent. The
//! transitions are those of Prometheus's `AlertingRule.Eval` (3.12), `needsSending` and `RestoreForState`, with two
//! differences: an alert that was firing before a restart fires after it, and an alert whose rule has no data or fails
//! may keep its state.

mod instance;
mod restore;
mod saved;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use self::instance::AlertState;
pub(crate) use self::instance::{AlertInstance, RestoreHold, SendTiming};
pub(crate) use self::restore::RestoreOptions;
pub(crate) use self::saved::{SavedRuleAlert, SavedRuleAlerts};
use crate::query::Labels;

/// Milliseconds for which a resolved alert is kept and sent again, as in Prometheus.
pub(crate) const RESOLVED_RETENTION_MS: i64 = 15 * 60 * 1000;

/// The alerts of a rule.
#[derive(Debug, Default)]
pub(crate) struct RuleState {
    alerts: BTreeMap<Labels, AlertInstance>,
    /// Alerts that were pending before a restart, until their condition is met again or their restore deadline passes.
    pending_restores: BTreeMap<Labels, restore::PendingRestore>,
}

/// A label set for which the rule's condition is met.
#[derive(Debug)]
pub(crate) struct ConditionMatch {
    pub(crate) labels: Labels,
    pub(crate) annotations: BTreeMap<String, String>,
    /// `None` if the condition has no value.
    pub(crate) value: Option<f64>,
}

/// The time, durations and limit of a rule's evaluation; in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RuleTiming {
    pub(crate) now: i64,
    pub(crate) hold_for: i64,
    pub(crate) keep_firing_for: i64,
    /// Maximum number of active alerts.
    pub(crate) limit: usize,
    /// Whether a metric of the expression has no sample since the start; matters only to restored alerts.
    pub(crate) is_data_missing: bool,
}

/// The treatment of alerts whose condition is not met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unmet {
    /// Firing alerts are resolved and pending alerts are dropped.
    Resolve,
    /// Alerts keep their state, because the condition could not be evaluated.
    Keep,
}

/// An error of the results of an evaluation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StateError {
    /// Two results have the same labels.
    #[error("vector contains metrics with the same labelset after applying alert labels: {0}")]
    Duplicate(Labels),
    /// The number of active alerts exceeds the limit. All alerts of the rule are dropped.
    #[error("exceeded limit of {limit} with {count} alerts")]
    Limit {
        /// The limit.
        limit: usize,
        /// The number of active alerts.
        count: usize,
    },
}

impl RuleState {
    /// Applies the results of an evaluation.
    ///
    /// On [`StateError::Duplicate`] the alerts are unchanged; on [`StateError::Limit`] all alerts have been dropped.
    pub(crate) fn advance(
        &mut self,
        results: Vec<ConditionMatch>,
        unmet: Unmet,
        timing: &RuleTiming,
    ) -> Result<(), StateError> {
        let mut met = BTreeSet::new();
        for result in &results {
            if !met.insert(result.labels.clone()) {
                return Err(StateError::Duplicate(result.labels.clone()));
            }
        }
        for result in results {
            let restore = self.pending_restores.remove(&result.labels);
            match self.alerts.get_mut(&result.labels) {
                Some(alert) if alert.state != AlertState::Inactive => {
                    alert.value = result.value;
                    alert.annotations = result.annotations;
                }
                _ => {
                    let labels = result.labels.clone();
                    let mut alert = AlertInstance::pending(result, timing.now);
                    if let Some(restore) = restore {
                        alert.active_at = restore.active_at(timing);
                    }
                    self.alerts.insert(labels, alert);
                }
            }
        }
        self.pending_restores
            .retain(|_, restore| timing.now < restore.deadline);
        let mut count = 0;
        self.alerts.retain(|labels, alert| {
            let is_kept = if met.contains(labels) {
                alert.keep_firing_since = None;
                alert.hold = None;
                alert.update_hold(timing);
                true
            } else if unmet == Unmet::Keep {
                alert.state != AlertState::Inactive || !alert.is_past_retention(timing.now)
            } else {
                alert.advance_unmet(timing)
            };
            count += usize::from(is_kept && alert.state != AlertState::Inactive);
            is_kept
        });
        if count > timing.limit {
            self.alerts.clear();
            let limit = timing.limit;
            return Err(StateError::Limit { limit, count });
        }
        Ok(())
    }

    /// Moves all alerts by a step of the wall clock.
    pub(crate) fn shift(&mut self, by_ms: i64) {
        let alerts = self.alerts.values_mut();
        alerts.for_each(|alert| alert.shift(by_ms));
        let pending_restores = self.pending_restores.values_mut();
        pending_restores.for_each(|pending| pending.shift(by_ms));
    }

    /// Returns all alerts, including resolved alerts.
    pub(crate) fn alerts(&self) -> impl Iterator<Item = &AlertInstance> {
        self.alerts.values()
    }

    /// Returns the pending and firing alerts.
    pub(crate) fn active(&self) -> impl Iterator<Item = &AlertInstance> {
        let is_active = |alert: &&AlertInstance| alert.state != AlertState::Inactive;
        self.alerts.values().filter(is_active)
    }

    /// Returns whether an alert that was restored as firing waits for samples.
    pub(crate) fn has_holds(&self) -> bool {
        self.alerts.values().any(|alert| alert.hold.is_some())
    }

    /// Returns the highest state of any alert.
    pub(crate) fn worst(&self) -> AlertState {
        let states = self.alerts.values().map(|alert| alert.state);
        states.max().unwrap_or(AlertState::Inactive)
    }

    /// Returns the alerts that must be sent now, and marks them as sent.
    pub(crate) fn take_due<'a>(
        &'a mut self,
        timing: &'a SendTiming,
    ) -> impl Iterator<Item = &'a AlertInstance> {
        self.alerts.values_mut().filter_map(|alert| {
            if !alert.needs_sending(timing) {
                return None;
            }
            alert.last_sent_at = Some(timing.now);
            alert.valid_until = timing.valid_until();
            Some(&*alert)
        })
    }

    /// Removes all alerts, because their rule was removed; returns the firing alerts as resolved.
    pub(crate) fn resolve_all(&mut self, now: i64) -> Vec<AlertInstance> {
        self.pending_restores.clear();
        let alerts = std::mem::take(&mut self.alerts).into_values();
        alerts
            .filter(|alert| alert.state == AlertState::Firing)
            .map(|mut alert| {
                alert.resolve(now);
                alert
            })
            .collect()
    }

    /// Adds the series `ALERTS` and `ALERTS_FOR_STATE`.
    pub(crate) fn series(&mut self, out: &mut Vec<(Labels, f64)>) {
        for alert in self.alerts.values_mut() {
            alert.series(out);
        }
    }
}
