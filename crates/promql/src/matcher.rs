//! Label matchers: `name="value"`, `!=`, `=~` and `!~`.
//!
//! A label that a series does not have counts as a label with an empty value, as in Prometheus.

use std::fmt;
use std::sync::Arc;

use super::labels::Labels;
use super::pattern::{Pattern, PatternError};

/// The comparison of a matcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`: the whole value matches the regular expression.
    Regex,
    /// `!~`
    NotRegex,
}

/// A condition on one label.
#[derive(Clone, Debug)]
pub struct Matcher {
    name: Arc<str>,
    op: MatchOp,
    value: Arc<str>,
    pattern: Option<Arc<Pattern>>,
}

impl Matcher {
    /// Builds a matcher.
    ///
    /// # Errors
    /// If `op` takes a regular expression and `value` is not a valid one for RE2.
    pub fn new(
        name: impl Into<Arc<str>>,
        op: MatchOp,
        value: impl Into<Arc<str>>,
    ) -> Result<Self, PatternError> {
        let value = value.into();
        let pattern = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(Arc::new(Pattern::new(&value)?)),
        };
        Ok(Self {
            name: name.into(),
            op,
            value,
            pattern,
        })
    }

    /// Builds the matcher `name="value"`.
    pub fn equal(name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            op: MatchOp::Equal,
            value: value.into(),
            pattern: None,
        }
    }

    /// Returns the label's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the comparison.
    #[must_use]
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// Returns the value or regular expression as it was written.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Returns the alternatives of a regular expression such as `a|b`, or `None` for any other expression.
    pub(crate) fn literals(&self) -> Option<&[String]> {
        self.pattern.as_deref().and_then(Pattern::literals)
    }

    /// Returns whether a value satisfies the matcher. The value of an absent label is empty.
    #[must_use]
    pub fn is_match(&self, value: &str) -> bool {
        match (self.op, &self.pattern) {
            (MatchOp::Equal, _) => *self.value == *value,
            (MatchOp::NotEqual, _) => *self.value != *value,
            (MatchOp::Regex, Some(pattern)) => pattern.is_match(value),
            (MatchOp::NotRegex, Some(pattern)) => !pattern.is_match(value),
            // `new` sets the pattern for both operators.
            (MatchOp::Regex | MatchOp::NotRegex, None) => false,
        }
    }

    /// Returns whether a label set satisfies the matcher.
    #[must_use]
    pub fn is_met_by(&self, labels: &Labels) -> bool {
        self.is_match(labels.get(&self.name).unwrap_or(""))
    }
}

impl fmt::Display for MatchOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        })
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.op == other.op && self.value == other.value
    }
}
