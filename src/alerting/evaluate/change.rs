//! Rules that come, change and go while others run.

use std::collections::BTreeMap;

use super::alert_runner::outgoing;
use super::group::{Group, Runner};
use super::{RuleGroups, Source};
use crate::alerting::Alert;
use crate::alerting::rule::compile::Compiler;
use crate::alerting::rule::{AlertRule, Rule, RuleErrors, RuleGroup};
use crate::query::engine::Engine;
use crate::query::store::Retention;

/// What rules are checked against when they are loaded.
#[derive(Clone, Copy, Debug)]
struct Checks<'a> {
    engine: &'a Engine,
    retention: Option<&'a Retention>,
}

/// The file of rules that code adds.
pub(crate) const CODE: &str = "code";
/// Their group.
const CODE_GROUP: &str = "rules";

impl RuleGroups {
    /// Loads the groups of a file in place of those that the file had before: all of them, or, where anything is
    /// wrong, none.
    ///
    /// Rules that were there before, by group, name and labels, keep their alerts, as in Prometheus. Alerts whose
    /// rule is gone are over, and come back to be told: Prometheus forgets them instead, so that they end four
    /// intervals later, wherever they were sent. A rule that was switched on or off at run time stays so.
    ///
    /// # Errors
    /// All that is wrong with the groups; nothing has changed then.
    pub fn load(
        &mut self,
        file: &str,
        groups: Vec<RuleGroup>,
        source: &Source<'_>,
        now: i64,
    ) -> Result<Vec<Alert>, RuleErrors> {
        let checks = Checks {
            engine: source.engine,
            retention: Some(&source.store.retention()),
        };
        self.replace(file, groups, checks, now)
    }

    /// As [`load`](Self::load), for a store that keeps everything: that of rule tests.
    pub(crate) fn load_unbounded(
        &mut self,
        file: &str,
        groups: Vec<RuleGroup>,
        engine: &Engine,
    ) -> Result<Vec<Alert>, RuleErrors> {
        let checks = Checks {
            engine,
            retention: None,
        };
        self.replace(file, groups, checks, 0)
    }

    fn replace(
        &mut self,
        file: &str,
        groups: Vec<RuleGroup>,
        checks: Checks<'_>,
        now: i64,
    ) -> Result<Vec<Alert>, RuleErrors> {
        let compiler = Compiler {
            file,
            engine: checks.engine,
            retention: checks.retention,
        };
        let checked = compiler.compile(groups)?;
        let is_of_file = |group: &mut Group| group.file == file;
        let mut before: Vec<Group> = self.groups.extract_if(.., is_of_file).collect();
        for compiled in checked {
            let mut group = Group::new(file, compiled, &self.options);
            group.switch(&self.switched);
            if let Some(old) = before.iter_mut().find(|old| old.name() == group.name()) {
                take_over(&mut group, old);
            }
            // As in Prometheus, the first turn is the next one.
            group.last_slot.get_or_insert(group.slot_before(now));
            self.groups.push(group);
        }
        Ok(self.end(before, now))
    }

    /// Removes the groups of a file. Alerts that fired are over, and come back to be told.
    pub fn unload(&mut self, file: &str, now: i64) -> Vec<Alert> {
        let is_of_file = |group: &mut Group| group.file == file;
        let before = self.groups.extract_if(.., is_of_file).collect();
        self.end(before, now)
    }

    /// Adds a rule, or replaces the one with this id that was added before; it belongs to the group `rules` of the
    /// file `code`.
    ///
    /// # Errors
    /// All that is wrong with the rule; nothing has changed then.
    pub fn add_rule(
        &mut self,
        rule: AlertRule,
        source: &Source<'_>,
        now: i64,
    ) -> Result<Vec<Alert>, RuleErrors> {
        let id = rule.id.clone();
        let switched = self.switched.remove(&id);
        let mut group = self.code_group();
        group.rules.retain(|known| known.name() != rule.id);
        group.rules.push(rule.into());
        let loaded = self.load(CODE, vec![group], source, now);
        if let (Err(_), Some(enabled)) = (&loaded, switched) {
            self.switched.insert(id, enabled);
        }
        loaded
    }

    /// Removes every alert rule with this id. Alerts that fired are over, and come back to be told; `None` where
    /// there was no such rule.
    pub fn remove_rule(&mut self, id: &str, now: i64) -> Option<Vec<Alert>> {
        let mut gone = Vec::new();
        for group in &mut self.groups {
            let is_it = |runner: &mut Runner| matches!(runner, Runner::Alert(runner) if runner.compiled.rule.id == id);
            gone.extend(group.rules.extract_if(.., is_it));
            group
                .written
                .rules
                .retain(|rule| !matches!(rule, Rule::Alert(rule) if rule.id == id));
        }
        let was_there = !gone.is_empty();
        self.switched.remove(id);
        let alerts = self.end_rules(gone, now);
        was_there.then_some(alerts)
    }

    /// Switches every alert rule with this id on or off. Alerts of a rule that is switched off are over, and come
    /// back to be told; `None` where there is no such rule.
    pub fn set_enabled(&mut self, id: &str, enabled: bool, now: i64) -> Option<Vec<Alert>> {
        let mut alerts = Vec::new();
        let mut was_there = false;
        self.switched.insert(id.to_owned(), enabled);
        for group in &mut self.groups {
            group.switch(&self.switched);
            for runner in &mut group.rules {
                if let Runner::Alert(runner) = runner
                    && runner.compiled.rule.id == id
                {
                    was_there = true;
                    if !enabled {
                        let url = runner.generator_url(&self.options.external_url);
                        let ended = runner.state.end(now);
                        let out = |alert| outgoing(alert, &self.external_labels, &url);
                        alerts.extend(ended.iter().map(out));
                        let written = std::mem::take(&mut runner.written);
                        self.ended.extend(written.into_labels());
                    }
                }
            }
        }
        if !was_there {
            self.switched.remove(id);
        }
        was_there.then_some(alerts)
    }

    fn code_group(&self) -> RuleGroup {
        let group = self.groups.iter().find(|group| group.file == CODE);
        group.map_or_else(|| RuleGroup::new(CODE_GROUP), |group| group.written.clone())
    }

    fn end(&mut self, groups: Vec<Group>, now: i64) -> Vec<Alert> {
        let rules = groups.into_iter().flat_map(|group| group.rules).collect();
        self.end_rules(rules, now)
    }

    fn end_rules(&mut self, rules: Vec<Runner>, now: i64) -> Vec<Alert> {
        let mut alerts = Vec::new();
        for runner in rules {
            match runner {
                Runner::Alert(mut runner) => {
                    let url = runner.generator_url(&self.options.external_url);
                    let ended = runner.state.end(now);
                    let out = |alert| outgoing(alert, &self.external_labels, &url);
                    alerts.extend(ended.iter().map(out));
                    self.ended.extend(runner.written.into_labels());
                }
                Runner::Record(runner) => self.ended.extend(runner.written.into_labels()),
            }
        }
        alerts
    }
}

/// Kind, name and labels of a rule: what tells it from others of its group.
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

/// Takes the alerts and series of rules over that are still there; what remains in `old` is gone.
fn take_over(new: &mut Group, old: &mut Group) {
    new.last_evaluation = old.last_evaluation;
    new.duration = old.duration;
    if new.interval == old.interval {
        new.last_slot = old.last_slot;
    }
    for runner in &mut new.rules {
        let found = old
            .rules
            .iter_mut()
            .find(|o| identity(o) == identity(runner));
        match (runner, found) {
            (Runner::Alert(new), Some(Runner::Alert(old))) if new.enabled => {
                new.state = std::mem::take(&mut old.state);
                new.written = std::mem::take(&mut old.written);
                new.health = old.health.clone();
            }
            (Runner::Record(new), Some(Runner::Record(old))) if new.enabled => {
                new.written = std::mem::take(&mut old.written);
                new.health = old.health.clone();
            }
            _ => {}
        }
    }
}
