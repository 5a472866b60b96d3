//! Turns rules as they are written into rules that can be evaluated: every expression and template is read here.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::alert_rule::{AlertRule, Condition};
use super::behaviour::NoData;
use super::closure::WhenClosure;
use super::error::{RuleErrors, RuleFault, RuleProblem};
use super::group::{RecordingRule, Rule, RuleGroup};
use super::names::{is_label_name, is_metric_name};
use super::presence::{look_back, presence_queries};
use crate::alerting::template::Template;
use crate::query::engine::syntax::ValueType;
use crate::query::engine::{Engine, Prepared};
use crate::query::store::{Retention, check_ranges};
use crate::query::{Label, Matcher};

/// A group whose rules have been read.
#[derive(Debug)]
pub(crate) struct CompiledGroup {
    pub(crate) group: RuleGroup,
    pub(crate) rules: Vec<CompiledRule>,
    /// Selectors that need the store's second tier.
    pub(crate) long: Vec<Vec<Matcher>>,
}

#[derive(Debug)]
pub(crate) enum CompiledRule {
    Alert(Box<CompiledAlert>),
    Record(Box<CompiledRecord>),
}

#[derive(Debug)]
pub(crate) struct CompiledAlert {
    pub(crate) rule: AlertRule,
    pub(crate) condition: CompiledCondition,
    pub(crate) labels: Vec<(Arc<str>, Template)>,
    pub(crate) annotations: Vec<(String, Template)>,
    /// Empty unless the rule wants to know whether there is data.
    pub(crate) presence: Vec<Prepared>,
    /// Milliseconds that the expression looks back.
    pub(crate) look_back: i64,
}

#[derive(Debug)]
pub(crate) enum CompiledCondition {
    Expr(Prepared),
    When(WhenClosure),
}

#[derive(Debug)]
pub(crate) struct CompiledRecord {
    pub(crate) rule: RecordingRule,
    pub(crate) prepared: Prepared,
    pub(crate) labels: Vec<Label>,
}

/// What rules are read with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compiler<'a> {
    pub(crate) file: &'a str,
    pub(crate) engine: &'a Engine,
    /// `None`: samples are kept as long as it takes.
    pub(crate) retention: Option<&'a Retention>,
}

/// Problems as they are found, and where the reading stands.
struct Findings<'a> {
    compiler: Compiler<'a>,
    group: &'a str,
    rule: Option<(&'a str, Option<u64>)>,
    long: Vec<Vec<Matcher>>,
    problems: Vec<RuleProblem>,
}

impl Compiler<'_> {
    /// Reads all groups of a file; all or nothing.
    pub(crate) fn compile(self, groups: Vec<RuleGroup>) -> Result<Vec<CompiledGroup>, RuleErrors> {
        let mut problems = Vec::new();
        let mut names = HashSet::new();
        for group in &groups {
            let problem = |fault| RuleProblem::new(self.file, fault).in_group(&group.name);
            if group.name.is_empty() {
                problems.push(problem(RuleFault::UnnamedGroup));
            } else if !names.insert(&group.name) {
                problems.push(problem(RuleFault::RepeatedGroup));
            }
        }
        let mut compiled = Vec::with_capacity(groups.len());
        for group in groups {
            let (group, found) = self.group(group);
            problems.extend(found);
            compiled.push(group);
        }
        RuleErrors::check(problems)?;
        Ok(compiled)
    }

    fn group(self, mut group: RuleGroup) -> (CompiledGroup, Vec<RuleProblem>) {
        let written = std::mem::take(&mut group.rules);
        let mut findings = Findings {
            compiler: self,
            group: &group.name,
            rule: None,
            long: Vec::new(),
            problems: Vec::new(),
        };
        findings.label_names("labels", &group.labels);
        if group
            .interval
            .is_some_and(|interval| interval.as_millis() == 0)
        {
            let problem = "is 0s, but must be a millisecond at least: leave it out for the default";
            findings.value("interval", problem.to_owned());
        }
        let mut seen = HashSet::new();
        let mut rules = Vec::with_capacity(written.len());
        for mut rule in written.clone() {
            let own = match &mut rule {
                Rule::Alert(rule) => &mut rule.labels,
                Rule::Record(rule) => &mut rule.labels,
            };
            for (name, value) in &group.labels {
                own.entry(name.clone()).or_insert_with(|| value.clone());
            }
            rules.push(rule);
        }
        let mut done = Vec::with_capacity(rules.len());
        for rule in &rules {
            findings.rule = Some((rule.name(), rule.line()));
            let is_alert = matches!(rule, Rule::Alert(_));
            if !seen.insert((is_alert, rule.name(), rule.labels())) {
                findings.add(RuleFault::RepeatedRule);
            }
            done.extend(match rule {
                Rule::Alert(rule) => findings
                    .alert(rule)
                    .map(|rule| CompiledRule::Alert(Box::new(rule))),
                Rule::Record(rule) => findings
                    .record(rule)
                    .map(|rule| CompiledRule::Record(Box::new(rule))),
            });
        }
        let (long, problems) = (findings.long, findings.problems);
        group.rules = written;
        let compiled = CompiledGroup {
            group,
            rules: done,
            long,
        };
        (compiled, problems)
    }
}

impl Findings<'_> {
    fn add(&mut self, fault: RuleFault) {
        let mut problem = RuleProblem::new(self.compiler.file, fault).in_group(self.group);
        if let Some((rule, line)) = self.rule {
            problem = problem.in_rule(rule, line);
        }
        self.problems.push(problem);
    }

    fn value(&mut self, key: &str, problem: String) {
        let key = key.to_owned();
        self.add(RuleFault::Value { key, problem });
    }

    fn alert(&mut self, rule: &AlertRule) -> Option<CompiledAlert> {
        if rule.id.is_empty() {
            self.value("alert", "is empty, but must name the alert".to_owned());
        }
        self.label_names("labels", &rule.labels);
        let annotations = rule.all_annotations();
        for name in annotations.keys().filter(|name| !is_label_name(name)) {
            self.bad_name("annotations", name);
        }
        let labels = self.templates("labels", &rule.id, &rule.labels);
        let annotations = self.templates("annotations", &rule.id, &annotations);
        let condition = match &rule.condition {
            None => {
                self.add(RuleFault::NoCondition);
                return None;
            }
            Some(Condition::When(closure)) => CompiledCondition::When(closure.clone()),
            Some(Condition::Expr(expr)) => CompiledCondition::Expr(self.expr(expr)?),
        };
        let (mut presence, mut back) = (Vec::new(), 0);
        if let CompiledCondition::Expr(prepared) = &condition {
            back = look_back(prepared.expr());
            if rule.no_data != NoData::Ok {
                presence = presence_queries(self.compiler.engine, prepared.expr());
            }
        }
        Some(CompiledAlert {
            rule: rule.clone(),
            condition,
            labels: labels.into_iter().map(|(k, v)| (k.into(), v)).collect(),
            annotations,
            presence,
            look_back: back,
        })
    }

    fn record(&mut self, rule: &RecordingRule) -> Option<CompiledRecord> {
        if !is_metric_name(&rule.record) {
            let name = &rule.record;
            let right = "must be letters, digits, `_` and `:`, not beginning with a digit";
            self.value("record", format!("is {name:?}, but {right}"));
        }
        self.label_names("labels", &rule.labels);
        let prepared = self.expr(&rule.expr)?;
        let pairs = rule.labels.iter();
        Some(CompiledRecord {
            rule: rule.clone(),
            prepared,
            labels: pairs.map(|(k, v)| Label::new(&**k, &**v)).collect(),
        })
    }

    fn expr(&mut self, text: &str) -> Option<Prepared> {
        let expr = || text.to_owned();
        if text.is_empty() {
            self.add(RuleFault::NoCondition);
            return None;
        }
        let prepared = match self.compiler.engine.prepare(text) {
            Ok(prepared) => prepared,
            Err(error) => {
                let expr = expr();
                self.add(RuleFault::Expr { expr, error });
                return None;
            }
        };
        let given = prepared.expr().value_type();
        if matches!(given, ValueType::Matrix | ValueType::String) {
            let (expr, given) = (expr(), given.to_string());
            self.add(RuleFault::ExprType { expr, given });
            return None;
        }
        if let Some(retention) = self.compiler.retention {
            match check_ranges(prepared.expr(), retention) {
                Ok(long) => self.long.extend(long),
                Err(error) => {
                    let expr = expr();
                    self.add(RuleFault::Retention { expr, error });
                    return None;
                }
            }
        }
        Some(prepared)
    }

    fn templates(
        &mut self,
        key: &str,
        alert: &str,
        texts: &BTreeMap<String, String>,
    ) -> Vec<(String, Template)> {
        let mut templates = Vec::with_capacity(texts.len());
        for (name, text) in texts {
            match Template::parse(alert, text) {
                Ok(template) => templates.push((name.clone(), template)),
                Err(error) => self.add(RuleFault::Template {
                    key: format!("{key}.{name}"),
                    text: text.clone(),
                    error: error.to_string(),
                }),
            }
        }
        templates
    }

    fn label_names(&mut self, key: &str, labels: &BTreeMap<String, String>) {
        for name in labels.keys() {
            if !is_label_name(name) || name == "__name__" {
                self.bad_name(key, name);
            }
        }
    }

    fn bad_name(&mut self, key: &str, name: &str) {
        let right =
            "a name is letters, digits and `_`, does not begin with a digit and is not `__name__`";
        self.value(key, format!("have a key {name:?}, but {right}"));
    }
}
