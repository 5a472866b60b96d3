//! Defines recording rules and rule groups.

use std::collections::BTreeMap;
use std::time::Duration;

use super::alert_rule::AlertRule;

use crate::settings::setters;

/// Stores the result of an expression as a new series.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RecordingRule {
    /// Name of the series.
    pub record: String,
    /// The `PromQL` expression.
    pub expr: String,
    /// Labels added to the series.
    pub labels: BTreeMap<String, String>,
    /// True if the rule is evaluated. Default: true.
    pub enabled: bool,
    /// Line of the rule in its file.
    pub(crate) line: Option<u64>,
}

/// An alert rule or a recording rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// An alert rule.
    Alert(Box<AlertRule>),
    /// A recording rule.
    Record(RecordingRule),
}

/// A group of rules that are evaluated in order, so that a rule sees the series of the recording rules before it.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RuleGroup {
    /// Name of the group, unique within its file.
    pub name: String,
    /// Time between two evaluations. Default: `None`, which uses the interval of
    /// [`RuleOptions`](crate::alerting::RuleOptions) (1 min, as in Prometheus).
    pub interval: Option<Duration>,
    /// Maximum number of alerts or series per rule. Default: `None`, which uses the limit of
    /// [`RuleOptions`](crate::alerting::RuleOptions) (20,000).
    pub limit: Option<usize>,
    /// Offset into the past at which the expressions are evaluated. Default: 0.
    pub query_offset: Duration,
    /// Labels added to every rule that does not set them.
    pub labels: BTreeMap<String, String>,
    /// The rules, in the order of evaluation.
    pub rules: Vec<Rule>,
}

impl RecordingRule {
    /// Creates a rule that stores the result of `expr` under the name `record`.
    #[must_use]
    pub fn new(record: impl Into<String>, expr: impl Into<String>) -> Self {
        Self {
            record: record.into(),
            expr: expr.into(),
            labels: BTreeMap::new(),
            enabled: true,
            line: None,
        }
    }

    /// Adds a label to the series.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }
}

impl Rule {
    /// Returns the id of an alert rule or the series name of a recording rule.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Alert(rule) => &rule.id,
            Self::Record(rule) => &rule.record,
        }
    }

    /// Returns the labels of the definition, with unexpanded templates.
    #[must_use]
    pub fn labels(&self) -> &BTreeMap<String, String> {
        match self {
            Self::Alert(rule) => &rule.labels,
            Self::Record(rule) => &rule.labels,
        }
    }

    pub(crate) fn line(&self) -> Option<u64> {
        match self {
            Self::Alert(rule) => rule.line,
            Self::Record(rule) => rule.line,
        }
    }
}

impl From<AlertRule> for Rule {
    fn from(rule: AlertRule) -> Self {
        Self::Alert(Box::new(rule))
    }
}

impl From<RecordingRule> for Rule {
    fn from(rule: RecordingRule) -> Self {
        Self::Record(rule)
    }
}

impl RuleGroup {
    /// Creates a group without rules.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    setters! {
        /// Sets the time between two evaluations.
        interval(interval: Duration) { self.interval = Some(interval) }

        /// Sets the maximum number of alerts or series per rule.
        limit(limit: usize) { self.limit = Some(limit) }

        /// Sets the offset into the past at which the expressions are evaluated.
        query_offset(offset: Duration) { self.query_offset = offset }

        /// Adds a label to every rule that does not set it.
        label(name: impl Into<String>, value: impl Into<String>) {
            self.labels.insert(name.into(), value.into())
        }

        /// Adds a rule.
        rule(rule: impl Into<Rule>) { self.rules.push(rule.into()) }
    }

    /// Adds several rules.
    #[must_use]
    pub fn rules<R: Into<Rule>>(mut self, rules: impl IntoIterator<Item = R>) -> Self {
        self.rules.extend(rules.into_iter().map(Into::into));
        self
    }

    /// Returns the alert rules of the group.
    pub fn alert_rules(&self) -> impl Iterator<Item = &AlertRule> {
        self.rules.iter().filter_map(|rule| match rule {
            Rule::Alert(rule) => Some(&**rule),
            Rule::Record(_) => None,
        })
    }
}
