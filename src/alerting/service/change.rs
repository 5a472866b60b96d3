//! Rules that come, change and go while the service runs: whole, or not at all.
//!
//! The routes are made of the rules as they would be, and compiled, before any rule changes: what is wrong with where
//! an alert would go leaves everything as it was.

use std::{path::Path, sync::MutexGuard};

use super::{Alerts, AlertsError, lock};
use crate::alerting::{
    Alert, AlertRule, CODE_FILE, Router, RuleGroup, RuleGroups, Source, load_rule_file,
};

impl Alerts {
    /// Adds a rule, or replaces the one of its id that was added before.
    ///
    /// Give those that are there from the beginning to [`Config::with_rule`](crate::Config::with_rule):
    /// what fired by them before a restart fires on, while what fired by a rule that is added later is over, and may
    /// fire anew. Where a rule of a file, or a default one, has the same id, both are evaluated, and the alerts of
    /// both go where this one says.
    ///
    /// # Errors
    ///
    /// When the rule is wrong, names a channel that is not configured, or says where its alerts go in a way that
    /// cannot be; nothing has changed then.
    pub fn add_rule(&self, rule: AlertRule) -> Result<(), AlertsError> {
        let alerting = self.alerting();
        alerting.routes.check(&rule)?;
        let _one_at_a_time = lock(&alerting.routing);
        let mut rules = alerting.rules();
        let others = of_rules(&rules).filter(|(file, old)| *file != CODE_FILE || old.id != rule.id);
        let all: Vec<_> = others.chain([(CODE_FILE, &rule)]).collect();
        let router = self.router(&all)?;
        let over = rules.add_rule(rule, &self.source(), self.now())?;
        self.changed(rules, over, router);
        Ok(())
    }

    /// Removes a rule; what fired by it is over.
    ///
    /// # Errors
    ///
    /// When there is no such rule.
    pub fn remove_rule(&self, id: &str) -> Result<(), AlertsError> {
        let _one_at_a_time = lock(&self.alerting().routing);
        let mut rules = self.alerting().rules();
        let others: Vec<_> = of_rules(&rules).filter(|(_, rule)| rule.id != id).collect();
        let router = self.router(&others)?;
        let over = rules.remove_rule(id, self.now());
        let over = over.ok_or_else(|| AlertsError::UnknownRule(id.to_owned()))?;
        self.changed(rules, over, router);
        Ok(())
    }

    /// Switches a rule on or off; what fired by one that is switched off is over.
    ///
    /// # Errors
    ///
    /// When there is no such rule.
    pub fn set_enabled(&self, id: &str, enabled: bool) -> Result<(), AlertsError> {
        let mut rules = self.alerting().rules();
        let over = rules.set_enabled(id, enabled, self.now());
        let over = over.ok_or_else(|| AlertsError::UnknownRule(id.to_owned()))?;
        drop(rules);
        // A rule that is off keeps its routes: nothing else changes.
        self.alerting().put(over);
        self.alerting().notifications().wake();
        Ok(())
    }

    /// Loads a file of rules in Prometheus's format, in place of what it held before.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, with group, rule and line; nothing has changed then.
    pub fn load_rules(&self, path: impl AsRef<Path>) -> Result<(), AlertsError> {
        let path = path.as_ref();
        let groups = load_rule_file(path)?;
        self.load(&path.display().to_string(), groups)
    }

    /// Loads groups of alerting and recording rules, in place of those that were loaded under this name before: those
    /// of a service level objective ([`slo_rules`](crate::alerting::slo_rules)), say.
    ///
    /// Give those that are there from the beginning to
    /// [`Config::with_rule_groups`](crate::Config::with_rule_groups), so that what fired before a restart fires on.
    ///
    /// # Errors
    ///
    /// All that is wrong with them; nothing has changed then. The name `code` is that of the rules that
    /// [`Alerts::add_rule`] adds.
    pub fn load_groups(&self, name: &str, groups: Vec<RuleGroup>) -> Result<(), AlertsError> {
        if name == CODE_FILE {
            return Err(AlertsError::ReservedName(name.to_owned()));
        }
        self.load(name, groups)
    }

    /// Removes the rules of a file, or of groups that were loaded under this name; what fired by them is over. The
    /// default rules are those of `defaults`.
    ///
    /// # Errors
    ///
    /// When nothing was loaded under this name.
    pub fn unload(&self, name: &str) -> Result<(), AlertsError> {
        let _one_at_a_time = lock(&self.alerting().routing);
        let mut rules = self.alerting().rules();
        if !rules.groups().any(|(file, _)| file == name) {
            return Err(AlertsError::UnknownFile(name.to_owned()));
        }
        let others: Vec<_> = of_rules(&rules).filter(|(file, _)| *file != name).collect();
        let router = self.router(&others)?;
        let over = rules.unload(name, self.now());
        self.changed(rules, over, router);
        Ok(())
    }

    fn load(&self, file: &str, groups: Vec<RuleGroup>) -> Result<(), AlertsError> {
        let alerting = self.alerting();
        let new = || groups.iter().flat_map(RuleGroup::alert_rules);
        for rule in new() {
            alerting.routes.check(rule)?;
        }
        let _one_at_a_time = lock(&alerting.routing);
        let mut rules = alerting.rules();
        let others = of_rules(&rules).filter(|(other, _)| *other != file);
        let all: Vec<_> = others.chain(new().map(|rule| (file, rule))).collect();
        let router = self.router(&all)?;
        let over = rules.load(file, groups, &self.source(), self.now())?;
        self.changed(rules, over, router);
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

    /// Tells what a change of rules has ended, and uses the routes that were made for it.
    fn changed(&self, rules: MutexGuard<'_, RuleGroups>, over: Vec<Alert>, router: Router) {
        self.alerting()
            .context
            .queries
            .store
            .keep_long(rules.long_selectors());
        drop(rules);
        // Before the routes change, so that those who were told hear of the end.
        self.alerting().put(over);
        self.alerting().notifications().use_router(router);
    }
}

/// Every alert rule, with the file that it is of.
pub(super) fn of_rules(rules: &RuleGroups) -> impl Iterator<Item = (&str, &AlertRule)> {
    let of_group = |(file, group)| RuleGroup::alert_rules(group).map(move |rule| (file, rule));
    rules.groups().flat_map(of_group)
}
