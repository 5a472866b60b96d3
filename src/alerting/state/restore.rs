//! Restores the states of alerts after a restart.
//!
//! Prometheus reads `ALERTS_FOR_STATE` from disk after two evaluations, and shifts the start of an alert whose
//! condition is met again, so that `for` neither restarts nor elapses during the downtime. This module does the same
//! with saved states. Firing alerts keep firing, so that their receivers are notified when they are resolved. Because
//! the series store is empty after a restart, they are not resolved before the range of the expression has passed, and
//! not before every metric of the expression has a sample: an application may set a gauge only minutes after its start.

use std::collections::BTreeMap;

use super::{
    AlertInstance, AlertState, ConditionMatch, RestoreHold, RuleState, RuleTiming, SavedRuleAlert,
};
use crate::query::Labels;
use crate::runtime::unix_ms::shift_ms;

/// The times that determine how alerts are restored; in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RestoreOptions {
    pub(crate) now: i64,
    /// Time at which the alerts were saved.
    pub(crate) saved_at: i64,
    /// Maximum downtime after which a pending alert is restored.
    pub(crate) outage_tolerance: i64,
    /// Minimum time that a restored alert stays pending. Alerts of rules with a shorter `for` start again.
    pub(crate) grace: i64,
    /// Time after the restart in which firing alerts are not resolved.
    pub(crate) min_firing: i64,
    /// Time after the restart in which firing alerts are not resolved while a metric of the expression has no sample.
    pub(crate) max_wait: i64,
}

/// An alert that was pending before a restart.
#[derive(Debug)]
pub(super) struct PendingRestore {
    alert: SavedRuleAlert,
    saved_at: i64,
    grace: i64,
    pub(super) deadline: i64,
}

impl PendingRestore {
    /// Returns the start of an alert whose condition is met again now.
    pub(super) fn active_at(&self, timing: &RuleTiming) -> i64 {
        // Starting again delays the alert by less than the grace period.
        if timing.hold_for < self.grace {
            return timing.now;
        }
        let spent = self.saved_at.saturating_sub(self.alert.active_at);
        let remaining = timing.hold_for.saturating_sub(spent);
        if remaining <= 0 {
            self.alert.active_at
        } else if remaining < self.grace {
            timing
                .now
                .saturating_add(self.grace)
                .saturating_sub(timing.hold_for)
        } else {
            // The downtime does not count towards `for`.
            let downtime = timing.now.saturating_sub(self.saved_at);
            self.alert.active_at.saturating_add(downtime)
        }
    }

    /// Moves the saved alert by a step of the wall clock; pending alerts have no other times than their start.
    pub(super) fn shift(&mut self, by_ms: i64) {
        for time in [
            &mut self.alert.active_at,
            &mut self.saved_at,
            &mut self.deadline,
        ] {
            shift_ms(time, by_ms);
        }
    }

    /// Returns the state to save again while the condition has not been met since the restart. The time since the first
    /// save does not count towards `for`.
    fn to_saved(&self, now: i64) -> SavedRuleAlert {
        let mut alert = self.alert.clone();
        let elapsed = now.saturating_sub(self.saved_at);
        alert.active_at = alert.active_at.saturating_add(elapsed);
        alert
    }
}

impl RuleState {
    /// Restores an alert, unless an alert with its labels exists already.
    pub(crate) fn restore(&mut self, saved: &SavedRuleAlert, options: &RestoreOptions) {
        let pairs = saved.labels.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        let labels = Labels::from_pairs(pairs);
        if self.alerts.contains_key(&labels) {
            return;
        }
        let deadline = options.now.saturating_add(options.min_firing);
        if saved.state == AlertState::Pending {
            let age = options.now.saturating_sub(options.saved_at);
            if age <= options.outage_tolerance {
                let pending_restores = PendingRestore {
                    alert: saved.clone(),
                    saved_at: options.saved_at,
                    grace: options.grace,
                    deadline,
                };
                self.pending_restores.insert(labels, pending_restores);
            }
            return;
        }
        let met = ConditionMatch {
            labels: labels.clone(),
            annotations: saved.annotations.clone(),
            value: saved.value,
        };
        let mut alert = AlertInstance::pending(met, saved.active_at);
        alert.state = saved.state;
        alert.fired_at = saved.fired_at;
        alert.resolved_at = saved.resolved_at;
        alert.keep_firing_since = saved.keep_firing_since;
        if saved.state == AlertState::Firing {
            alert.hold = Some(RestoreHold {
                until: deadline,
                without_data_until: options.now.saturating_add(options.max_wait),
            });
        }
        self.alerts.insert(labels, alert);
    }

    /// Returns the states of all alerts, including the pending alerts whose restore deadline has not passed.
    pub(crate) fn save(
        &self,
        group: &str,
        rule: &str,
        rule_labels: &BTreeMap<String, String>,
        now: i64,
    ) -> Vec<SavedRuleAlert> {
        let text = |text: &str| text.to_owned();
        let saved = |alert: &AlertInstance| SavedRuleAlert {
            group: text(group),
            rule: text(rule),
            rule_labels: rule_labels.clone(),
            labels: alert
                .labels
                .iter()
                .map(|l| (text(l.name()), text(l.value())))
                .collect(),
            annotations: alert.annotations.clone(),
            state: alert.state,
            active_at: alert.active_at,
            fired_at: alert.fired_at,
            resolved_at: alert.resolved_at,
            keep_firing_since: alert.keep_firing_since,
            value: alert.value,
        };
        let pending = self
            .pending_restores
            .values()
            .filter(|pending| now < pending.deadline);
        let pending = pending.map(|pending| pending.to_saved(now));
        self.alerts.values().map(saved).chain(pending).collect()
    }
}
