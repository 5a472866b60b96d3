//! Writes the alerts down, and takes them up again after a restart.

use super::RuleGroups;
use super::alert_runner::AlertRunner;
use super::group::{Group, Runner};
use crate::alerting::Alert;
use crate::alerting::rule::duration::to_milliseconds;
use crate::alerting::state::{AlertState, RestoreOptions, SavedAlert, SavedState};
use crate::query::{Labels, LabelsBuilder};

impl RuleGroups {
    /// Writes every alert down; to be kept after each evaluation that changed something.
    #[must_use]
    pub fn save(&self, now: i64) -> SavedState {
        let mut saved = SavedState {
            saved_at: now,
            alerts: Vec::new(),
        };
        for group in &self.groups {
            for runner in &group.rules {
                if let Runner::Alert(runner) = runner {
                    let rule = &runner.compiled.rule;
                    let alerts = runner.state.save(group.name(), &rule.id, &rule.labels, now);
                    saved.alerts.extend(alerts);
                }
            }
        }
        saved
    }

    /// Takes alerts up again, after the rules were loaded and before the first evaluation.
    ///
    /// What fired fires on: it ends when it is not met and the expression has had the time to see as far back as it
    /// looks (two intervals at least, the grace period at most), for the store begins empty. What was pending goes
    /// on where it was, as in Prometheus. Alerts that fired and whose rule is gone are over, and come back to be told.
    pub fn restore(&mut self, saved: &SavedState, now: i64) -> Vec<Alert> {
        let grace = to_milliseconds(self.options.grace_period);
        let outage_tolerance = to_milliseconds(self.options.outage_tolerance);
        let mut orphans = Vec::new();
        for alert in &saved.alerts {
            let Some((runner, interval)) = self.runner_of(alert) else {
                if alert.state == AlertState::Firing {
                    orphans.push(self.orphan(alert, now));
                }
                continue;
            };
            let settle = runner.compiled.look_back.max(interval.saturating_mul(2));
            let options = RestoreOptions {
                now,
                saved_at: saved.saved_at,
                outage_tolerance,
                grace,
                settle: settle.min(grace),
            };
            runner.state.restore(alert, &options);
        }
        orphans
    }

    fn runner_of(&mut self, alert: &SavedAlert) -> Option<(&mut AlertRunner, i64)> {
        let in_group = |group: &&mut Group| group.name() == alert.group;
        self.groups.iter_mut().filter(in_group).find_map(|group| {
            let interval = group.interval;
            group.rules.iter_mut().find_map(|runner| match runner {
                Runner::Alert(runner)
                    if runner.enabled
                        && runner.compiled.rule.id == alert.rule
                        && runner.compiled.rule.labels == alert.rule_labels =>
                {
                    Some((&mut **runner, interval))
                }
                Runner::Alert(_) | Runner::Record(_) => None,
            })
        })
    }

    fn orphan(&self, alert: &SavedAlert, now: i64) -> Alert {
        let pairs = alert.labels.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        let mut builder = LabelsBuilder::from_labels(&self.external_labels);
        for label in Labels::from_pairs(pairs).iter() {
            builder.set(label.clone());
        }
        let mut out = Alert::new(builder.build(), alert.fired_at.unwrap_or(alert.active_at));
        out.annotations.clone_from(&alert.annotations);
        out.ends_at = now;
        out.value = alert.value;
        out
    }
}
