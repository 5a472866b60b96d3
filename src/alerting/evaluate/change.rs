//! Loads, replaces, removes, enables and disables rules while other rules run.

use std::collections::BTreeMap;

use super::alert_runner::to_alert;
use super::group::{Group, Runner};
use super::{RuleGroups, Source};
use crate::alerting::Alert;
use crate::alerting::rule::compile::Compiler;
use crate::alerting::rule::{AlertRule, Rule, RuleErrors, RuleGroup};
use crate::query::engine::Engine;
use crate::query::store::Retention;

/// The context in which loaded rules are checked.
#[derive(Clone, Copy, Debug)]
struct LoadContext<'a> {
    engine: &'a Engine,
    retention: Option<&'a Retention>,
}

/// The file name of the rules that are added from code.
pub(crate) const CODE_FILE: &str = "code";
/// The group name of the rules that are added from code.
const CODE_GROUP: &str = "rules";

impl RuleGroups {
    /// Replaces the groups of a file. On any problem, the file's previous groups stay loaded.
    ///
    /// A rule with the same group, name and labels as before keeps its alerts, as in Prometheus. The firing alerts of
    /// removed rules are returned as resolved. Prometheus drops them instead, so that their receivers consider them
    /// resolved after four intervals. A rule that was enabled or disabled at run time stays so.
    ///
    /// # Errors
    /// Returns all problems of the groups; the loaded rules are unchanged.
    pub fn load(
        &mut self,
        file: &str,
        groups: Vec<RuleGroup>,
        source: &Source<'_>,
        now: i64,
    ) -> Result<Vec<Alert>, RuleErrors> {
        let context = LoadContext {
            engine: source.engine,
            retention: Some(&source.store.retention()),
        };
        self.replace_groups(file, groups, context, now)
    }

    /// Loads rules without a check of the retention, for the unbounded store of rule tests; see [`load`](Self::load).
    pub(crate) fn load_unbounded(
        &mut self,
        file: &str,
        groups: Vec<RuleGroup>,
        engine: &Engine,
    ) -> Result<Vec<Alert>, RuleErrors> {
        let context = LoadContext {
            engine,
            retention: None,
        };
        self.replace_groups(file, groups, context, 0)
    }

    fn replace_groups(
        &mut self,
        file: &str,
        groups: Vec<RuleGroup>,
        context: LoadContext<'_>,
        now: i64,
    ) -> Result<Vec<Alert>, RuleErrors> {
        let compiler = Compiler {
            file,
            engine: context.engine,
            retention: context.retention,
        };
        let checked = compiler.compile(groups)?;
        let is_of_file = |group: &mut Group| group.file == file;
        let mut before: Vec<Group> = self.groups.extract_if(.., is_of_file).collect();
        for compiled in checked {
            let mut group = Group::new(file, compiled, &self.options);
            group.apply_enabled(&self.enabled_overrides);
            if let Some(old) = before.iter_mut().find(|old| old.name() == group.name()) {
                move_state(&mut group, old);
            }
            // As in Prometheus, the first evaluation is at the next slot.
            group.last_slot.get_or_insert(group.slot_before(now));
            self.groups.push(group);
        }
        Ok(self.resolve_groups(before, now))
    }

    /// Removes the groups of a file. Their firing alerts are returned as resolved.
    pub fn unload(&mut self, file: &str, now: i64) -> Vec<Alert> {
        let is_of_file = |group: &mut Group| group.file == file;
        let before = self.groups.extract_if(.., is_of_file).collect();
        self.resolve_groups(before, now)
    }

    /// Adds a rule to the group `rules` of the file `code`, or replaces the rule with the same id in that group. A new
    /// rule that was disabled before a restart stays disabled.
    ///
    /// # Errors
    /// Returns all problems of the rule; the loaded rules are unchanged.
    pub fn add_rule(
        &mut self,
        rule: AlertRule,
        source: &Source<'_>,
        now: i64,
    ) -> Result<Vec<Alert>, RuleErrors> {
        let id = rule.id.clone();
        let mut group = self.code_group();
        let count = group.rules.len();
        group.rules.retain(|other| other.name() != rule.id);
        let is_replaced = group.rules.len() < count;
        group.rules.push(rule.into());
        let enabled_override = is_replaced
            .then(|| self.enabled_overrides.remove(&id))
            .flatten();
        let loaded = self.load(CODE_FILE, vec![group], source, now);
        if let (Err(_), Some(enabled)) = (&loaded, enabled_override) {
            self.enabled_overrides.insert(id, enabled);
        }
        loaded
    }

    /// Removes every alert rule with this id. The firing alerts are returned as resolved; `None` if there was no such
    /// rule.
    pub fn remove_rule(&mut self, id: &str, now: i64) -> Option<Vec<Alert>> {
        let mut removed = Vec::new();
        for group in &mut self.groups {
            let has_id = |runner: &mut Runner| matches!(runner, Runner::Alert(runner) if runner.compiled.rule.id == id);
            removed.extend(group.rules.extract_if(.., has_id));
            group
                .definition
                .rules
                .retain(|rule| !matches!(rule, Rule::Alert(rule) if rule.id == id));
        }
        let is_known = !removed.is_empty();
        self.enabled_overrides.remove(id);
        let alerts = self.resolve_rules(removed, now);
        is_known.then_some(alerts)
    }

    /// Enables or disables every alert rule with this id. The firing alerts of a disabled rule are returned as
    /// resolved; `None` if there is no such rule.
    pub fn set_enabled(&mut self, id: &str, enabled: bool, now: i64) -> Option<Vec<Alert>> {
        let mut alerts = Vec::new();
        let mut is_known = false;
        self.enabled_overrides.insert(id.to_owned(), enabled);
        for group in &mut self.groups {
            group.apply_enabled(&self.enabled_overrides);
            for runner in &mut group.rules {
                if let Runner::Alert(runner) = runner
                    && runner.compiled.rule.id == id
                {
                    is_known = true;
                    if !enabled {
                        let url = runner.generator_url(&self.options.external_url);
                        let resolved = runner.state.resolve_all(now);
                        let sent = |alert| to_alert(alert, &self.external_labels, &url);
                        alerts.extend(resolved.iter().map(sent));
                        let series = std::mem::take(&mut runner.series);
                        self.ended_series.extend(series.into_labels());
                    }
                }
            }
        }
        if !is_known {
            self.enabled_overrides.remove(id);
        }
        is_known.then_some(alerts)
    }

    /// Returns the rules that were enabled or disabled at run time, by id.
    pub(crate) fn enabled_overrides(&self) -> &BTreeMap<String, bool> {
        &self.enabled_overrides
    }

    /// Enables and disables rules as before a restart. A switch of a rule that is not loaded yet applies once the rule
    /// is loaded.
    pub(crate) fn restore_switches(&mut self, switches: BTreeMap<String, bool>) {
        for group in &mut self.groups {
            group.apply_enabled(&switches);
        }
        self.enabled_overrides = switches;
    }

    fn code_group(&self) -> RuleGroup {
        let group = self.groups.iter().find(|group| group.file == CODE_FILE);
        group.map_or_else(
            || RuleGroup::new(CODE_GROUP),
            |group| group.definition.clone(),
        )
    }

    fn resolve_groups(&mut self, groups: Vec<Group>, now: i64) -> Vec<Alert> {
        let rules = groups.into_iter().flat_map(|group| group.rules).collect();
        self.resolve_rules(rules, now)
    }

    fn resolve_rules(&mut self, rules: Vec<Runner>, now: i64) -> Vec<Alert> {
        let mut alerts = Vec::new();
        for runner in rules {
            match runner {
                Runner::Alert(mut runner) => {
                    let url = runner.generator_url(&self.options.external_url);
                    let resolved = runner.state.resolve_all(now);
                    let sent = |alert| to_alert(alert, &self.external_labels, &url);
                    alerts.extend(resolved.iter().map(sent));
                    self.ended_series.extend(runner.series.into_labels());
                }
                Runner::Record(runner) => self.ended_series.extend(runner.series.into_labels()),
            }
        }
        alerts
    }
}

/// Returns the kind, name and labels of a rule, which identify it within its group.
fn identity(runner: &Runner) -> (bool, &str, &BTreeMap<String, String>) {
    match runner {
        Runner::Alert(runner) => {
            let rule = &runner.compiled.rule;
            (true, &rule.id, &rule.labels)
        }
        Runner::Record(runner) => {
            let rule = &runner.compiled.rule;
            (false, &rule.record, &rule.labels)
        }
    }
}

/// Moves the alerts and series of rules that still exist to the new group; the rules that remain in `old` are removed.
fn move_state(new: &mut Group, old: &mut Group) {
    new.last_evaluation = old.last_evaluation;
    new.duration = old.duration;
    if new.interval == old.interval {
        new.last_slot = old.last_slot;
    }
    for runner in &mut new.rules {
        let previous = old
            .rules
            .iter_mut()
            .find(|o| identity(o) == identity(runner));
        match (runner, previous) {
            (Runner::Alert(new), Some(Runner::Alert(old))) if new.enabled => {
                new.state = std::mem::take(&mut old.state);
                new.series = std::mem::take(&mut old.series);
                new.health = old.health.clone();
            }
            (Runner::Record(new), Some(Runner::Record(old))) if new.enabled => {
                new.series = std::mem::take(&mut old.series);
                new.health = old.health.clone();
            }
            _ => {}
        }
    }
}
