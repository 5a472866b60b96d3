//! Turns "met" and "not met" into pending, firing and resolved, as Prometheus does.
//!
//! Everything here is pure: results and the time go in, states and what is to be said come out. The transitions are
//! those of Prometheus's `AlertingRule.Eval` (3.12), `needsSending` and `RestoreForState`. Two differ: an alert that
//! fired before a restart fires after it, and what cannot be told (no data, an error) may keep its state.

mod instance;
mod restore;
mod saved;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use self::instance::AlertState;
pub(crate) use self::instance::{Instance, Sending};
pub(crate) use self::restore::RestoreOptions;
pub use self::saved::{SavedAlert, SavedState};
use crate::query::Labels;

/// Prometheus: a resolved alert is kept and told again for this long, in milliseconds.
pub(crate) const RESOLVED_RETENTION: i64 = 15 * 60 * 1000;

/// The alerts of one rule.
#[derive(Debug, Default)]
pub(crate) struct RuleState {
    alerts: BTreeMap<Labels, Instance>,
    /// What was pending before a restart, until it is met again or the time for that is over.
    remembered: BTreeMap<Labels, restore::Remembered>,
}

/// A label set for which the rule's condition is met.
#[derive(Debug)]
pub(crate) struct Met {
    pub(crate) labels: Labels,
    pub(crate) annotations: BTreeMap<String, String>,
    /// `None` where the condition has no value.
    pub(crate) value: Option<f64>,
}

/// What a rule asks of time; milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) now: i64,
    pub(crate) hold_for: i64,
    pub(crate) keep_firing_for: i64,
    /// Active alerts that there may be.
    pub(crate) limit: usize,
}

/// What happens to the alerts that are not met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unmet {
    /// They end.
    End,
    /// Nobody can tell: they stay as they are.
    Stay,
}

/// Why an evaluation came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StateError {
    /// Two results have the same labels.
    #[error("vector contains metrics with the same labelset after applying alert labels: {0}")]
    Duplicate(Labels),
    /// There are more alerts than there may be. They are all forgotten.
    #[error("exceeded limit of {limit} with {count} alerts")]
    Limit {
        /// The limit.
        limit: usize,
        /// How many there are.
        count: usize,
    },
}

impl RuleState {
    /// Takes the results of one evaluation.
    ///
    /// On [`StateError::Duplicate`] nothing has changed; on [`StateError::Limit`] there are no alerts any more.
    pub(crate) fn advance(
        &mut self,
        results: Vec<Met>,
        unmet: Unmet,
        timing: &Timing,
    ) -> Result<(), StateError> {
        let mut met = BTreeSet::new();
        for result in &results {
            if !met.insert(result.labels.clone()) {
                return Err(StateError::Duplicate(result.labels.clone()));
            }
        }
        for result in results {
            let remembered = self.remembered.remove(&result.labels);
            match self.alerts.get_mut(&result.labels) {
                Some(alert) if alert.state != AlertState::Inactive => {
                    alert.value = result.value;
                    alert.annotations = result.annotations;
                }
                _ => {
                    let labels = result.labels.clone();
                    let mut alert = Instance::pending(result, timing.now);
                    if let Some(remembered) = remembered {
                        alert.active_at = remembered.active_at(timing);
                    }
                    self.alerts.insert(labels, alert);
                }
            }
        }
        self.remembered.retain(|_, r| timing.now < r.until);
        let mut count = 0;
        self.alerts.retain(|labels, alert| {
            let is_kept = if met.contains(labels) {
                alert.keep_firing_since = None;
                alert.held_until = None;
                alert.ripen(timing);
                true
            } else if unmet == Unmet::Stay {
                alert.state != AlertState::Inactive || !alert.is_forgotten(timing.now)
            } else {
                alert.was_not_met(timing)
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

    /// Every alert, those that are over included.
    pub(crate) fn alerts(&self) -> impl Iterator<Item = &Instance> {
        self.alerts.values()
    }

    /// The alerts that are pending or firing.
    pub(crate) fn active(&self) -> impl Iterator<Item = &Instance> {
        let is_active = |alert: &&Instance| alert.state != AlertState::Inactive;
        self.alerts.values().filter(is_active)
    }

    /// The worst state of any alert.
    pub(crate) fn worst(&self) -> AlertState {
        let states = self.alerts.values().map(|alert| alert.state);
        states.max().unwrap_or(AlertState::Inactive)
    }

    /// Has each alert that must be told (again) told.
    pub(crate) fn tell<'a>(
        &'a mut self,
        sending: &'a Sending,
    ) -> impl Iterator<Item = &'a Instance> {
        self.alerts.values_mut().filter_map(|alert| {
            if !alert.needs_sending(sending) {
                return None;
            }
            alert.last_sent_at = Some(sending.now);
            alert.valid_until = sending.valid_until();
            Some(&*alert)
        })
    }

    /// Ends every alert: its rule is gone. Those that fired must be told.
    pub(crate) fn end(&mut self, now: i64) -> Vec<Instance> {
        self.remembered.clear();
        let alerts = std::mem::take(&mut self.alerts).into_values();
        alerts
            .filter(|alert| alert.state == AlertState::Firing)
            .map(|mut alert| {
                alert.resolve(now);
                alert
            })
            .collect()
    }

    /// Names and values of `ALERTS` and `ALERTS_FOR_STATE`.
    pub(crate) fn series(&mut self, out: &mut Vec<(Labels, f64)>) {
        for alert in self.alerts.values_mut() {
            alert.series(out);
        }
    }
}
