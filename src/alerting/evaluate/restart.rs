//! Saves the states of alerts and restores them after a restart.

use super::RuleGroups;
use super::alert_runner::AlertRunner;
use super::group::{Group, Runner};
use crate::alerting::Alert;
use crate::alerting::rule::duration::to_milliseconds;
use crate::alerting::state::{AlertState, RestoreOptions, SavedRuleAlert, SavedRuleAlerts};
use crate::query::{Labels, LabelsBuilder};

impl RuleGroups {
    /// Returns the states of all alerts, to be saved after each evaluation that changed them.
    pub(crate) fn save(&self, now: i64) -> SavedRuleAlerts {
        let mut saved = SavedRuleAlerts {
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

    /// Restores alerts, after the rules were loaded and before the first evaluation. Returns the firing alerts whose
    /// rule no longer exists, as resolved.
    ///
    /// Firing alerts keep firing. Because the store is empty after a restart, they are not resolved before the
    /// expression's range has passed (at least two intervals, at most the grace period), and not before every metric of
    /// the expression has a sample (at most [`RuleOptions::restart_hold`](super::RuleOptions::restart_hold)). Pending
    /// alerts continue as in Prometheus.
    pub(crate) fn restore(&mut self, saved: &SavedRuleAlerts, now: i64) -> Vec<Alert> {
        let grace = to_milliseconds(self.options.grace_period);
        let outage_tolerance = to_milliseconds(self.options.outage_tolerance);
        let max_wait = to_milliseconds(self.options.restart_hold);
        let mut orphans = Vec::new();
        for alert in &saved.alerts {
            let Some((runner, interval)) = self.find_runner(alert) else {
                if alert.state == AlertState::Firing {
                    orphans.push(self.resolved_orphan(alert, now));
                }
                continue;
            };
            let min_firing = runner.compiled.look_back.max(interval.saturating_mul(2));
            let options = RestoreOptions {
                now,
                saved_at: saved.saved_at,
                outage_tolerance,
                grace,
                min_firing: min_firing.min(grace),
                max_wait,
            };
            runner.state.restore(alert, &options);
        }
        orphans
    }

    fn find_runner(&mut self, alert: &SavedRuleAlert) -> Option<(&mut AlertRunner, i64)> {
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

    fn resolved_orphan(&self, alert: &SavedRuleAlert, now: i64) -> Alert {
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
