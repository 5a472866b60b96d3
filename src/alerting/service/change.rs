//! Adds, changes and removes rules while the service runs; a failed change has no effect.
//!
//! Each change first builds and compiles the routes of the changed rules. If the routes are invalid, neither rules nor
//! routes change.

use std::{path::Path, sync::MutexGuard};

use super::{Alerts, AlertsError, lock};
use crate::alerting::{
    Alert, AlertRule, CODE_FILE, Router, RuleGroup, RuleGroups, Source, load_rule_file,
};

impl Alerts {
    /// Adds a rule, or replaces the rule with the same id that was added before.
    ///
    /// Rules that exist from the start belong into [`Config::with_rule`](crate::Config::with_rule): their alerts
    /// continue to fire over a restart, while the alerts of a rule that is added later resolve at the restart and may
    /// fire again. If a default rule or a rule of a file has the same id, both rules are evaluated, and the alerts of
    /// both go to the channels of the added rule.
    ///
    /// # Errors
    ///
    /// If the rule is invalid, names an unknown channel, or results in invalid routes. The rules are then unchanged.
    pub fn add_rule(&self, rule: AlertRule) -> Result<(), AlertsError> {
        let alerting = self.alerting();
        alerting.routes.check(&rule)?;
        let _routing_lock = lock(&alerting.routing);
        let mut rules = alerting.rules();
        let others =
            rules_by_file(&rules).filter(|(file, old)| *file != CODE_FILE || old.id != rule.id);
        let all: Vec<_> = others.chain([(CODE_FILE, &rule)]).collect();
        let router = self.router(&all)?;
        let resolved = rules.add_rule(rule, &self.source(), self.now().as_i64())?;
        self.apply(rules, resolved, router);
        Ok(())
    }

    /// Removes a rule; its alerts resolve.
    ///
    /// # Errors
    ///
    /// If no rule has this id.
    pub fn remove_rule(&self, id: &str) -> Result<(), AlertsError> {
        let _routing_lock = lock(&self.alerting().routing);
        let mut rules = self.alerting().rules();
        let others: Vec<_> = rules_by_file(&rules)
            .filter(|(_, rule)| rule.id != id)
            .collect();
        let router = self.router(&others)?;
        let resolved = rules.remove_rule(id, self.now().as_i64());
        let resolved = resolved.ok_or_else(|| AlertsError::UnknownRule(id.to_owned()))?;
        self.apply(rules, resolved, router);
        Ok(())
    }

    /// Enables or disables a rule; the alerts of a disabled rule resolve. With a data directory, a restart keeps the
    /// change.
    ///
    /// A crash in the next milliseconds can lose the change; [`Alerts::flush`] waits for the disk.
    ///
    /// # Errors
    ///
    /// If no rule has this id.
    pub fn set_enabled(&self, id: &str, enabled: bool) -> Result<(), AlertsError> {
        let alerting = self.alerting();
        let mut rules = alerting.rules();
        let now = self.now();
        let resolved = rules.set_enabled(id, enabled, now.as_i64());
        let resolved = resolved.ok_or_else(|| AlertsError::UnknownRule(id.to_owned()))?;
        alerting.save_switches(&rules);
        alerting.save(&rules, now);
        // A disabled rule keeps its routes, so the routing does not change.
        alerting.put(resolved);
        drop(rules);
        alerting.notifications().wake();
        Ok(())
    }

    /// Loads a rule file in Prometheus's format, and replaces the rules that were loaded from the file before.
    ///
    /// # Errors
    ///
    /// All faults of the file, with group, rule and line. The rules are then unchanged.
    pub fn load_rules(&self, path: impl AsRef<Path>) -> Result<(), AlertsError> {
        let path = path.as_ref();
        let groups = load_rule_file(path)?;
        self.load(&path.display().to_string(), groups)
    }

    /// Loads groups of alerting and recording rules, for example the rules of a service level objective
    /// ([`slo_rules`](crate::alerting::slo_rules)), and replaces the groups that were loaded under this name before.
    ///
    /// Groups that exist from the start belong into [`Config::with_rule_groups`](crate::Config::with_rule_groups), so
    /// that their alerts continue to fire over a restart.
    ///
    /// # Errors
    ///
    /// All faults of the groups; the rules are then unchanged. The name `code` is reserved for the rules of
    /// [`Alerts::add_rule`].
    pub fn load_groups(&self, name: &str, groups: Vec<RuleGroup>) -> Result<(), AlertsError> {
        if name == CODE_FILE {
            return Err(AlertsError::ReservedName(name.to_owned()));
        }
        self.load(name, groups)
    }

    /// Removes the rules that were loaded from this file or under this name; their alerts resolve. The name of the
    /// default rules is `defaults`.
    ///
    /// # Errors
    ///
    /// If no rules were loaded under this name.
    pub fn unload(&self, name: &str) -> Result<(), AlertsError> {
        let _routing_lock = lock(&self.alerting().routing);
        let mut rules = self.alerting().rules();
        if !rules.groups().any(|(file, _)| file == name) {
            return Err(AlertsError::UnknownFile(name.to_owned()));
        }
        let others: Vec<_> = rules_by_file(&rules)
            .filter(|(file, _)| *file != name)
            .collect();
        let router = self.router(&others)?;
        let resolved = rules.unload(name, self.now().as_i64());
        self.apply(rules, resolved, router);
        Ok(())
    }

    fn load(&self, file: &str, groups: Vec<RuleGroup>) -> Result<(), AlertsError> {
        let alerting = self.alerting();
        let new = || groups.iter().flat_map(RuleGroup::alert_rules);
        for rule in new() {
            alerting.routes.check(rule)?;
        }
        let _routing_lock = lock(&alerting.routing);
        let mut rules = alerting.rules();
        let others = rules_by_file(&rules).filter(|(other, _)| *other != file);
        let all: Vec<_> = others.chain(new().map(|rule| (file, rule))).collect();
        let router = self.router(&all)?;
        let resolved = rules.load(file, groups, &self.source(), self.now().as_i64())?;
        self.apply(rules, resolved, router);
        Ok(())
    }

    fn source(&self) -> Source<'_> {
        let queries = &self.alerting().context.queries;
        Source::new(&queries.engine, &queries.store)
    }

    fn router(&self, rules: &[(&str, &AlertRule)]) -> Result<Router, AlertsError> {
        let alerting = self.alerting();
        let routing = alerting.routes.routing_of(rules.iter().copied());
        Ok(alerting.notifications().compile(&routing)?)
    }

    /// Completes a change of the rules: passes the resolved alerts to the notifications and replaces the routes.
    fn apply(&self, rules: MutexGuard<'_, RuleGroups>, resolved: Vec<Alert>, router: Router) {
        self.alerting().save_switches(&rules);
        self.alerting()
            .context
            .queries
            .store
            .keep_long(rules.long_selectors());
        // The alerts resolve before the routes change, so that the notified addresses get the resolved notification, and
        // under the lock, which orders them before or after a step of the wall clock.
        self.alerting().put(resolved);
        drop(rules);
        self.alerting().notifications().use_router(router);
        self.alerting().check_metrics_again();
    }
}

/// Returns every alert rule with the name of its file.
pub(super) fn rules_by_file(rules: &RuleGroups) -> impl Iterator<Item = (&str, &AlertRule)> {
    let of_group = |(file, group)| RuleGroup::alert_rules(group).map(move |rule| (file, rule));
    rules.groups().flat_map(of_group)
}
