//! Takes alerts up again after a restart.
//!
//! Prometheus reads `ALERTS_FOR_STATE` from its disk, lets two evaluations pass, and shifts the start of what is met
//! again, so that `for` neither starts anew nor ends while nobody looked. We do the same from what was saved.
//! What fired fires on, so that its end is told; and since the series store begins empty, it cannot end before the
//! expression has had the time to see as far back as it looks.

use std::collections::BTreeMap;

use super::{AlertState, Instance, Met, RuleState, SavedAlert, Timing};
use crate::query::Labels;

/// How alerts are taken up again; milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RestoreOptions {
    pub(crate) now: i64,
    /// When the alerts were saved.
    pub(crate) saved_at: i64,
    /// What was pending longer ago than this starts anew.
    pub(crate) outage_tolerance: i64,
    /// What was pending has at least this long to go. Rules with a shorter `for` start anew.
    pub(crate) grace: i64,
    /// For how long nothing ends that is not met.
    pub(crate) settle: i64,
}

/// An alert that was pending before a restart.
#[derive(Debug)]
pub(super) struct Remembered {
    alert: SavedAlert,
    saved_at: i64,
    grace: i64,
    pub(super) until: i64,
}

impl Remembered {
    /// The start of an alert that is met again now.
    pub(super) fn active_at(&self, timing: &Timing) -> i64 {
        // So short a wait may as well start anew.
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
            // The time while nobody looked does not count.
            let down = timing.now.saturating_sub(self.saved_at);
            self.alert.active_at.saturating_add(down)
        }
    }

    /// As it is written down again before it was met: the time since it was saved first does not count.
    fn again(&self, now: i64) -> SavedAlert {
        let mut alert = self.alert.clone();
        let unseen = now.saturating_sub(self.saved_at);
        alert.active_at = alert.active_at.saturating_add(unseen);
        alert
    }
}

impl RuleState {
    /// Takes one alert up again; one that is known already stays as it is.
    pub(crate) fn restore(&mut self, saved: &SavedAlert, options: &RestoreOptions) {
        let pairs = saved.labels.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        let labels = Labels::from_pairs(pairs);
        if self.alerts.contains_key(&labels) {
            return;
        }
        let until = options.now.saturating_add(options.settle);
        if saved.state == AlertState::Pending {
            let age = options.now.saturating_sub(options.saved_at);
            if age <= options.outage_tolerance {
                let remembered = Remembered {
                    alert: saved.clone(),
                    saved_at: options.saved_at,
                    grace: options.grace,
                    until,
                };
                self.remembered.insert(labels, remembered);
            }
            return;
        }
        let met = Met {
            labels: labels.clone(),
            annotations: saved.annotations.clone(),
            value: saved.value,
        };
        let mut alert = Instance::pending(met, saved.active_at);
        alert.state = saved.state;
        alert.fired_at = saved.fired_at;
        alert.resolved_at = saved.resolved_at;
        alert.keep_firing_since = saved.keep_firing_since;
        if saved.state == AlertState::Firing {
            alert.held_until = Some(until);
        }
        self.alerts.insert(labels, alert);
    }

    /// Writes every alert down, those included that were pending before a restart and are still waited for.
    pub(crate) fn save(
        &self,
        group: &str,
        rule: &str,
        rule_labels: &BTreeMap<String, String>,
        now: i64,
    ) -> Vec<SavedAlert> {
        let text = |text: &str| text.to_owned();
        let saved = |alert: &Instance| SavedAlert {
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
        let waited_for = self.remembered.values().filter(|one| now < one.until);
        let waited_for = waited_for.map(|one| one.again(now));
        self.alerts.values().map(saved).chain(waited_for).collect()
    }
}
