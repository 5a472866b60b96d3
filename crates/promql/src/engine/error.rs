//! Why a query has no result, worded as Prometheus words it.

use super::syntax::{ParseError, ValueType};
use std::time::Duration;

/// A query that was not evaluated, or not to its end.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The text is no query.
    #[error("invalid parameter \"query\": {0}")]
    Parse(#[from] ParseError),
    /// The evaluation failed as it does in Prometheus.
    #[error("{0}")]
    Execution(String),
    /// The query reads or produces more than it may.
    #[error(
        "query processing would load too many samples into memory in query execution: the limit is {limit}"
    )]
    TooManySamples {
        /// The limit.
        limit: u64,
    },
    /// The result has more series than it may.
    #[error("query result has more than {limit} series")]
    TooManySeries {
        /// The limit.
        limit: usize,
    },
    /// The query took longer than it may.
    #[error("query timed out after {limit:?}")]
    Timeout {
        /// The limit.
        limit: Duration,
    },
    /// Somebody cancelled the query.
    #[error("query was canceled")]
    Canceled,
    /// A range query for what has no value at each step.
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
    /// A range query with too many steps.
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
            Self::Execution(_) | Self::TooManySamples { .. } | Self::TooManySeries { .. } => {
                "execution"
            }
            Self::Timeout { .. } => "timeout",
            Self::Canceled => "canceled",
        }
    }
}

pub(super) fn execution(message: impl Into<String>) -> QueryError {
    QueryError::Execution(message.into())
}
