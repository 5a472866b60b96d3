//! Defines the errors of rules that cannot be loaded.

use std::fmt;

use crate::query::engine::ParseError;
use crate::query::store::RetentionError;

/// All problems of the rules in a file, or of the rules passed in a call.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}", Lines(.problems))]
#[non_exhaustive]
pub struct RuleErrors {
    /// The problems, in the order of the file; at least one.
    pub problems: Vec<RuleProblem>,
}

/// A problem and its location.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}{fault}", Place(self))]
#[non_exhaustive]
pub struct RuleProblem {
    /// Path of the file, or `code` for rules that code adds.
    pub file: String,
    /// Line in the file, if known.
    pub line: Option<u64>,
    /// Name of the group, for a problem inside a group.
    pub group: Option<String>,
    /// Name of the rule, for a problem inside a rule.
    pub rule: Option<String>,
    /// The kind of problem.
    pub fault: RuleFault,
}

/// The kind of a problem in a rule, a group or a file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleFault {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Read(String),
    /// The file is not YAML, or does not have the structure of a Prometheus rule file.
    #[error("{0}")]
    Format(String),
    /// A group has no name.
    #[error("the group has no name: set `name`")]
    UnnamedGroup,
    /// Two groups of a file have the same name.
    #[error("the group's name is repeated in the file: give each group a unique name")]
    RepeatedGroup,
    /// Two rules of a group have the same name and the same labels.
    #[error(
        "the rule is repeated in its group, with the same labels: remove it or change its name"
    )]
    RepeatedRule,
    /// A rule has both `alert` and `record`, or neither.
    #[error("a rule must have either `alert` or `record`")]
    Kind,
    /// A rule has no condition.
    #[error("the rule has no condition: set `expr`")]
    NoCondition,
    /// The value of a key is invalid.
    #[error("`{key}` {problem}")]
    Value {
        /// The key.
        key: String,
        /// The value, and the values that are allowed.
        problem: String,
    },
    /// A recording rule has a key that only alert rules have.
    #[error("a recording rule has no `{0}`: remove it")]
    AlertOnly(&'static str),
    /// The expression is not valid `PromQL`.
    #[error("`expr` is {expr:?}: {error}")]
    Expr {
        /// The expression.
        expr: String,
        /// The syntax error, with its position.
        error: ParseError,
    },
    /// The expression returns neither a vector nor a scalar.
    #[error(
        "`expr` is {expr:?}, which gives a {result_type}, but must give an instant vector or a scalar"
    )]
    ExprType {
        /// The expression.
        expr: String,
        /// The type of its result.
        result_type: String,
    },
    /// The expression reads samples that are older than the retention.
    #[error("`expr` is {expr:?}: {error}")]
    Retention {
        /// The expression.
        expr: String,
        /// The required and the configured retention.
        error: RetentionError,
    },
    /// The template cannot be parsed.
    #[error("`{key}` is {text:?}, which is not a valid template: {error}")]
    Template {
        /// `labels.NAME` or `annotations.NAME`.
        key: String,
        /// The template.
        text: String,
        /// The error, in the wording of Go's `text/template`.
        error: String,
    },
}

impl RuleErrors {
    pub(crate) fn check(problems: Vec<RuleProblem>) -> Result<(), Self> {
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Self { problems })
        }
    }
}

impl RuleProblem {
    pub(crate) fn new(file: &str, fault: RuleFault) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            group: None,
            rule: None,
            fault,
        }
    }

    pub(crate) fn in_group(mut self, group: &str) -> Self {
        self.group = Some(group.to_owned());
        self
    }

    pub(crate) fn in_rule(mut self, rule: &str, line: Option<u64>) -> Self {
        self.rule = Some(rule.to_owned());
        self.line = line;
        self
    }
}

struct Place<'a>(&'a RuleProblem);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.file)?;
        if let Some(line) = self.0.line {
            write!(f, ":{line}")?;
        }
        f.write_str(": ")?;
        if let Some(group) = &self.0.group {
            write!(f, "group {group:?}: ")?;
        }
        if let Some(rule) = &self.0.rule {
            write!(f, "rule {rule:?}: ")?;
        }
        Ok(())
    }
}

struct Lines<'a>(&'a [RuleProblem]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}
