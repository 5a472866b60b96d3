//! Why rules are refused, with the place and what would be right.

use std::fmt;

use crate::query::engine::ParseError;
use crate::query::store::RetentionError;

/// Everything that is wrong with the rules of one file, or of one call.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}", Lines(.problems))]
#[non_exhaustive]
pub struct RuleErrors {
    /// What is wrong, in the order of the file; at least one.
    pub problems: Vec<RuleProblem>,
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}{fault}", Place(self))]
#[non_exhaustive]
pub struct RuleProblem {
    /// The file, or `code`.
    pub file: String,
    /// The line, where it is known.
    pub line: Option<u64>,
    /// The group, where the problem lies in one.
    pub group: Option<String>,
    /// The rule, where the problem lies in one.
    pub rule: Option<String>,
    /// What is wrong.
    pub fault: RuleFault,
}

/// What is wrong with a rule, a group or a file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleFault {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Read(String),
    /// The file is not YAML, or not of Prometheus's shape.
    #[error("{0}")]
    Format(String),
    /// A group has no name.
    #[error("the group has no name: set `name`")]
    UnnamedGroup,
    /// Two groups of a file have one name.
    #[error("the group's name is repeated in the file: give each group a name of its own")]
    RepeatedGroup,
    /// Two rules of a group have one name and the same labels.
    #[error(
        "the rule is repeated in its group, with the same labels: remove it or change its name"
    )]
    RepeatedRule,
    /// A rule is both, or none.
    #[error("a rule has either `alert` or `record`")]
    Kind,
    /// A rule says not when it is met.
    #[error("the rule has no condition: set `expr`")]
    NoCondition,
    /// A key has a value that it cannot have.
    #[error("`{key}` {problem}")]
    Value {
        /// The key.
        key: String,
        /// Its value and what it must be.
        problem: String,
    },
    /// A recording rule has a key of alert rules.
    #[error("a recording rule has no `{0}`: remove it")]
    AlertOnly(&'static str),
    /// The expression is none.
    #[error("`expr` is {expr:?}: {error}")]
    Expr {
        /// The expression.
        expr: String,
        /// What is wrong, with the place.
        error: ParseError,
    },
    /// The expression gives no vector and no scalar.
    #[error(
        "`expr` is {expr:?}, which gives a {given}, but must give an instant vector or a scalar"
    )]
    ExprType {
        /// The expression.
        expr: String,
        /// What it gives.
        given: String,
    },
    /// The expression looks back further than samples are kept.
    #[error("`expr` is {expr:?}: {error}")]
    Retention {
        /// The expression.
        expr: String,
        /// What it needs and what is kept.
        error: RetentionError,
    },
    /// A template is none.
    #[error("`{key}` is {text:?}, which is no template: {error}")]
    Template {
        /// `labels.x` or `annotations.x`.
        key: String,
        /// The template.
        text: String,
        /// What is wrong, as Go words it.
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
