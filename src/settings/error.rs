//! Errors of a configuration.

use std::borrow::Cow;

use crate::runtime::error_text::debug_is_a_sentence;

debug_is_a_sentence!(ConfigError);

/// A configuration that cannot be used. No part of it was applied.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A value is invalid.
    #[error("{key} is {value}, but must be {expected}")]
    Invalid {
        /// The key, or the environment variable.
        key: String,
        /// Its value.
        value: String,
        /// The values that would be valid.
        expected: Cow<'static, str>,
    },
    /// A value has no effect without another value.
    #[error("{key} is set, but {missing}, which goes with it, is not")]
    Missing {
        /// The key that is set.
        key: String,
        /// The key that is not set.
        missing: String,
    },
    /// An environment variable begins like the variables of llm-observatory, but is unknown.
    #[error("{key} is not a variable of llm-observatory; did you mean {nearest}?")]
    UnknownVariable {
        /// The variable.
        key: String,
        /// The known variable with the most similar name.
        nearest: &'static str,
    },
    /// The bounds of histogram buckets are invalid.
    #[error("prometheus.buckets for {metrics} cannot be used: {problem}")]
    Buckets {
        /// The histograms that the bounds are for.
        metrics: String,
        /// The text of the [`BucketsError`](crate::BucketsError).
        problem: String,
    },
}
