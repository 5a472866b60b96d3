//! The errors of queries, in Prometheus's words.

use super::syntax::{ParseError, ValueType};
use std::time::Duration;

/// The error of a query that was not evaluated, or not completely.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The text is not a valid query.
    #[error("invalid parameter \"query\": {0}")]
    Parse(#[from] ParseError),
    /// The evaluation failed as it does in Prometheus.
    #[error("{0}")]
    Execution(String),
    /// The query holds more samples at once than [`EngineOptions::max_samples`](super::EngineOptions::max_samples) allows.
    #[error(
        "query processing would load too many samples into memory in query execution: more than {limit} at once, the limit of max_samples"
    )]
    TooManySamples {
        /// The limit.
        limit: u64,
    },
    /// The caller's limit on held samples ([`Control::held`](super::Control::held)) is exceeded; the text is the caller's.
    #[error("{0}")]
    OverBudget(String),
    /// The result has more series than the limit allows.
    #[error("query result has more than {limit} series")]
    TooManySeries {
        /// The limit.
        limit: usize,
    },
    /// The query exceeded its time limit.
    #[error("query timed out after {limit:?}")]
    Timeout {
        /// The limit.
        limit: Duration,
    },
    /// The caller canceled the query.
    #[error("query was canceled")]
    Canceled,
    /// A range query for an expression that is neither a scalar nor an instant vector.
    #[error(
        "invalid parameter \"query\": invalid expression type \"{value_type}\" for range query, must be Scalar or instant Vector"
    )]
    NotForRanges {
        /// The type of the expression.
        value_type: ValueType,
    },
    /// A range query with a step of zero or less.
    #[error(
        "zero or negative query resolution step widths are not accepted. Try a positive integer"
    )]
    ZeroStep,
    /// A range query that ends before it starts.
    #[error("end timestamp must not be before start time")]
    EndBeforeStart,
    /// A range query with more steps than the limit allows.
    #[error(
        "exceeded maximum resolution of {limit} points per timeseries. Try decreasing the query resolution (?step=XX)"
    )]
    TooManySteps {
        /// The limit.
        limit: i64,
    },
}

impl QueryError {
    /// Returns the `errorType` of Prometheus's API.
    #[must_use]
    pub fn api_type(&self) -> &'static str {
        match self {
            Self::Parse(_)
            | Self::NotForRanges { .. }
            | Self::ZeroStep
            | Self::EndBeforeStart
            | Self::TooManySteps { .. } => "bad_data",
            Self::Execution(_)
            | Self::TooManySamples { .. }
            | Self::OverBudget(_)
            | Self::TooManySeries { .. } => "execution",
            Self::Timeout { .. } => "timeout",
            Self::Canceled => "canceled",
        }
    }
}

pub(super) fn execution(message: impl Into<String>) -> QueryError {
    QueryError::Execution(message.into())
}
