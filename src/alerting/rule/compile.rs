//! Compiles rules: parses every expression and template, and reports all invalid values.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::alert_rule::{AlertRule, Condition};
use super::behaviour::NoData;
use super::closure::WhenClosure;
use super::error::{RuleErrors, RuleFault, RuleProblem};
use super::group::{RecordingRule, Rule, RuleGroup};
use super::names::{is_label_name, is_metric_name};
use super::presence::{look_back, metrics, presence_queries};
use crate::alerting::template::Template;
use crate::query::engine::syntax::ValueType;
use crate::query::engine::{Engine, Prepared};
use crate::query::store::{Retention, check_ranges};
use crate::query::{Label, Matcher};

/// A rule group with parsed rules.
#[derive(Debug)]
pub(crate) struct CompiledGroup {
    pub(crate) group: RuleGroup,
    pub(crate) rules: Vec<CompiledRule>,
    /// Selectors whose samples must be kept in the store's coarse tier.
    pub(crate) long_selectors: Vec<Vec<Matcher>>,
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
    /// Queries that have a result while the rule's series have samples; empty for [`NoData::Ok`], which needs no such
    /// check.
    pub(crate) presence: Vec<Prepared>,
    /// Range of the expression into the past, in milliseconds.
    pub(crate) look_back: i64,
    /// Matchers of each metric that the expression names.
    pub(crate) metrics: Vec<Vec<Matcher>>,
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

/// The context in which rules are compiled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compiler<'a> {
    pub(crate) file: &'a str,
    pub(crate) engine: &'a Engine,
    /// The retention against which ranges are checked; `None` accepts every range.
    pub(crate) retention: Option<&'a Retention>,
}

/// Compiles the rules of one group and collects the problems.
struct GroupCompiler<'a> {
    context: Compiler<'a>,
    group: &'a str,
    rule: Option<(&'a str, Option<u64>)>,
    long_selectors: Vec<Vec<Matcher>>,
    problems: Vec<RuleProblem>,
}

impl Compiler<'_> {
    /// Compiles all groups of a file. A single problem rejects all of them.
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
        let definitions = std::mem::take(&mut group.rules);
        let mut compiler = GroupCompiler {
            context: self,
            group: &group.name,
            rule: None,
            long_selectors: Vec::new(),
            problems: Vec::new(),
        };
        compiler.label_names("labels", &group.labels);
        if group
            .interval
            .is_some_and(|interval| interval.as_millis() == 0)
        {
            let problem = "is 0s, but must be at least 1ms: remove it for the default";
            compiler.invalid_value("interval", problem.to_owned());
        }
        let mut identities = HashSet::new();
        let mut rules = Vec::with_capacity(definitions.len());
        for mut rule in definitions.clone() {
            let own = match &mut rule {
                Rule::Alert(rule) => &mut rule.labels,
                Rule::Record(rule) => &mut rule.labels,
            };
            for (name, value) in &group.labels {
                own.entry(name.clone()).or_insert_with(|| value.clone());
            }
            rules.push(rule);
        }
        let mut compiled_rules = Vec::with_capacity(rules.len());
        for rule in &rules {
            compiler.rule = Some((rule.name(), rule.line()));
            let is_alert = matches!(rule, Rule::Alert(_));
            if !identities.insert((is_alert, rule.name(), rule.labels())) {
                compiler.add(RuleFault::RepeatedRule);
            }
            compiled_rules.extend(match rule {
                Rule::Alert(rule) => compiler
                    .alert(rule)
                    .map(|rule| CompiledRule::Alert(Box::new(rule))),
                Rule::Record(rule) => compiler
                    .record(rule)
                    .map(|rule| CompiledRule::Record(Box::new(rule))),
            });
        }
        let (long_selectors, problems) = (compiler.long_selectors, compiler.problems);
        group.rules = definitions;
        (
            CompiledGroup {
                group,
                rules: compiled_rules,
                long_selectors,
            },
            problems,
        )
    }
}

impl GroupCompiler<'_> {
    fn add(&mut self, fault: RuleFault) {
        let mut problem = RuleProblem::new(self.context.file, fault).in_group(self.group);
        if let Some((rule, line)) = self.rule {
            problem = problem.in_rule(rule, line);
        }
        self.problems.push(problem);
    }

    fn invalid_value(&mut self, key: &str, problem: String) {
        let key = key.to_owned();
        self.add(RuleFault::Value { key, problem });
    }

    fn alert(&mut self, rule: &AlertRule) -> Option<CompiledAlert> {
        if rule.id.is_empty() {
            self.invalid_value("alert", "is empty, but must name the alert".to_owned());
        }
        self.label_names("labels", &rule.labels);
        let annotations = rule.all_annotations();
        for name in annotations.keys().filter(|name| !is_label_name(name)) {
            self.invalid_name("annotations", name);
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
        let (mut presence, mut back, mut named) = (Vec::new(), 0, Vec::new());
        if let CompiledCondition::Expr(prepared) = &condition {
            back = look_back(prepared.expr());
            named = metrics(prepared.expr());
            if rule.no_data != NoData::Ok {
                presence = presence_queries(self.context.engine, prepared.expr());
            }
        }
        Some(CompiledAlert {
            rule: rule.clone(),
            condition,
            labels: labels.into_iter().map(|(k, v)| (k.into(), v)).collect(),
            annotations,
            presence,
            look_back: back,
            metrics: named,
        })
    }

    fn record(&mut self, rule: &RecordingRule) -> Option<CompiledRecord> {
        if !is_metric_name(&rule.record) {
            let name = &rule.record;
            let valid = "must be letters, digits, `_` and `:`, not beginning with a digit";
            self.invalid_value("record", format!("is {name:?}, but {valid}"));
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
        let prepared = match self.context.engine.prepare(text) {
            Ok(prepared) => prepared,
            Err(error) => {
                let expr = expr();
                self.add(RuleFault::Expr { expr, error });
                return None;
            }
        };
        let result_type = prepared.expr().value_type();
        if matches!(result_type, ValueType::Matrix | ValueType::String) {
            let (expr, result_type) = (expr(), result_type.to_string());
            self.add(RuleFault::ExprType { expr, result_type });
            return None;
        }
        if let Some(retention) = self.context.retention {
            match check_ranges(prepared.expr(), retention) {
                Ok(long_selectors) => self.long_selectors.extend(long_selectors),
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
                self.invalid_name(key, name);
            }
        }
    }

    fn invalid_name(&mut self, key: &str, name: &str) {
        let valid =
            "a name is letters, digits and `_`, does not begin with a digit and is not `__name__`";
        self.invalid_value(key, format!("have a key {name:?}, but {valid}"));
    }
}
