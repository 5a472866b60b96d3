//! Saves raised alerts and the switches of rules, and lets a caller wait until its changes are on the disk.

use std::collections::BTreeMap;

use super::{Alerting, Alerts, AlertsError, Context, raised::Raised};
use crate::alerting::{Alert, NotDurable, Notifications, RuleGroups, Severity};

/// The prefix of the names under which the store keeps the raised alerts.
const RAISED: &str = "raised/";
/// The name under which the store keeps the rules that were enabled or disabled at run time.
const SWITCHES: &str = "rule_switches";

impl Alerts {
    /// Waits until every change that was made before the call is on the disk: raised and resolved alerts, silences,
    /// acknowledgements, and enabled or disabled rules. A crash of the process or of the machine does not lose these
    /// changes.
    ///
    /// The observatory writes the changes of concurrent calls in one transaction. The future needs no runtime, and
    /// waits for the start of an observatory that is not started yet. An alert that an event raised less than a second
    /// ago may not be included.
    ///
    /// # Errors
    ///
    /// If the changes are in effect, but a crash or a restart would lose them.
    pub async fn flush(&self) -> Result<(), NotDurable> {
        if !self.alerting().is_on() {
            return Err(NotDurable::Stopped);
        }
        self.alerting().save_raised(&mut self.alerting().raised());
        self.alerting().notifications().flush().await
    }

    /// Raises an alert as [`Alerts::trigger`] does, and returns after the alert is on the disk.
    ///
    /// # Errors
    ///
    /// As [`Alerts::trigger`]. [`AlertsError::NotDurable`] if the alert is raised, but a crash or a restart would lose
    /// it.
    pub async fn trigger_durably(
        &self,
        id: &str,
        severity: impl Into<Option<Severity>> + Send,
        message: &str,
        labels: &[(&str, &str)],
    ) -> Result<(), AlertsError> {
        self.trigger(id, severity, message, labels)?;
        Ok(self.flush().await?)
    }

    /// Resolves raised alerts as [`Alerts::resolve`] does, and returns their number after the change is on the disk.
    ///
    /// # Errors
    ///
    /// If the alerts are resolved, but a crash or a restart would raise them again.
    pub async fn resolve_durably(
        &self,
        id: &str,
        labels: &[(&str, &str)],
    ) -> Result<usize, NotDurable> {
        let resolved = self.resolve(id, labels);
        self.flush().await?;
        Ok(resolved)
    }
}

impl Alerting {
    /// Saves the raised alerts that are new or have new annotations.
    pub(super) fn save_raised(&self, raised: &mut Raised) {
        for alert in raised.take_unsaved() {
            if self.notifications.is_persistent() {
                let name = raised_name(alert);
                self.notifications.save_state(&name, alert.to_json());
            }
        }
    }

    /// Removes resolved alerts from the saved alerts.
    pub(super) fn forget_raised(&self, resolved: &[Alert]) {
        if self.notifications.is_persistent() {
            for alert in resolved {
                self.notifications.remove_state(&raised_name(alert));
            }
        }
    }

    /// Saves the rules that were enabled or disabled at run time, if they have changed.
    pub(super) fn save_switches(&self, rules: &RuleGroups) {
        // A map of texts and flags always serializes.
        let bytes = serde_json::to_vec(rules.enabled_overrides()).unwrap_or_default();
        let saved = self.notifications.saved_state(SWITCHES);
        if saved.unwrap_or_else(|| b"{}".to_vec()) != bytes {
            self.notifications.save_state(SWITCHES, bytes);
        }
    }
}

fn raised_name(alert: &Alert) -> String {
    format!("{RAISED}{:016x}", alert.fingerprint())
}

/// Returns the raised alerts of the previous process. Their receivers get an update at the first evaluation.
pub(super) fn saved_alerts(notifications: &Notifications) -> Vec<Alert> {
    let saved = notifications.saved_states(RAISED).into_iter();
    saved.filter_map(|bytes| Alert::from_json(&bytes)).collect()
}

/// Enables and disables the rules as they were before the restart; a log line names the disabled rules.
pub(super) fn restore_switches(
    rules: &mut RuleGroups,
    notifications: &Notifications,
    context: &Context,
) {
    let saved = notifications.saved_state(SWITCHES);
    let switches: Option<BTreeMap<String, bool>> =
        saved.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let Some(switches) = switches else {
        return;
    };
    let disabled = switches.iter().filter(|(_, is_enabled)| !**is_enabled);
    let disabled: Vec<&str> = disabled.map(|(id, _)| id.as_str()).collect();
    if !disabled.is_empty() {
        let notice = format!(
            "alert rules that were disabled before the restart stay disabled: {}; enable a rule with POST /api/observatory/rules/ID or Alerts::set_enabled",
            disabled.join(", ")
        );
        let registry = &context.queries.gatherer.registry;
        registry.diagnostics().notice(notice);
    }
    rules.restore_switches(switches);
}
