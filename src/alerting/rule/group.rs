//! Rules that are evaluated together, one after the other.

use std::collections::BTreeMap;
use std::time::Duration;

use super::alert_rule::AlertRule;

/// Keeps the result of an expression as a series of its own.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RecordingRule {
    /// The series' name.
    pub record: String,
    /// The `PromQL` expression.
    pub expr: String,
    /// Labels that the series get.
    pub labels: BTreeMap<String, String>,
    /// Whether it is evaluated. Default: true.
    pub enabled: bool,
    /// Where it stands in its file.
    pub(crate) line: Option<u64>,
}

/// A rule of either kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// One that says when something is wrong.
    Alert(Box<AlertRule>),
    /// One that keeps the result of an expression.
    Record(RecordingRule),
}

/// Rules that are evaluated together, one after the other, so that later ones see what earlier ones recorded.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RuleGroup {
    /// Identifies the group within its file.
    pub name: String,
    /// Time between two evaluations. Default: `None`, the observatory's (1 min, as Prometheus).
    pub interval: Option<Duration>,
    /// Alerts or series that one rule may have. Default: `None`, the observatory's (20,000).
    pub limit: Option<usize>,
    /// How far in the past its expressions are evaluated. Default: 0.
    pub query_offset: Duration,
    /// Labels that all its rules get where they do not set them.
    pub labels: BTreeMap<String, String>,
    /// The rules.
    pub rules: Vec<Rule>,
}

impl RecordingRule {
    /// Keeps the result of `expr` under the name `record`.
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
    /// The id of an alert rule, the series' name of a recording rule.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Alert(rule) => &rule.id,
            Self::Record(rule) => &rule.record,
        }
    }

    /// The labels as they are written.
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
    /// A group without rules.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// Sets the time between two evaluations.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = Some(interval);
        self
    }

    /// Sets how many alerts or series one rule may have.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Sets how far in the past its expressions are evaluated.
    #[must_use]
    pub fn query_offset(mut self, offset: Duration) -> Self {
        self.query_offset = offset;
        self
    }

    /// Adds a label to all its rules that do not set it.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// Adds a rule.
    #[must_use]
    pub fn rule(mut self, rule: impl Into<Rule>) -> Self {
        self.rules.push(rule.into());
        self
    }

    /// Adds rules.
    #[must_use]
    pub fn rules<R: Into<Rule>>(mut self, rules: impl IntoIterator<Item = R>) -> Self {
        self.rules.extend(rules.into_iter().map(Into::into));
        self
    }

    /// Its alert rules.
    pub fn alert_rules(&self) -> impl Iterator<Item = &AlertRule> {
        self.rules.iter().filter_map(|rule| match rule {
            Rule::Alert(rule) => Some(&**rule),
            Rule::Record(_) => None,
        })
    }
}
