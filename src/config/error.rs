//! What can be wrong with a configuration.

use crate::{metrics::BucketsError, said::debug_is_a_sentence};

debug_is_a_sentence!(ConfigError);

/// A configuration that cannot be used. Nothing of it was applied.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A value that cannot be used.
    #[error("{key} is {value}, but must be {expected}")]
    Invalid {
        /// The key, or the environment variable.
        key: String,
        /// Its value.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A value that is of no use without another one.
    #[error("{key} is set, but {missing}, which goes with it, is not")]
    Missing {
        /// The key of the one that is there.
        key: String,
        /// The key of the one that is not.
        missing: String,
    },
    /// An environment variable that begins like ours, but is none.
    #[error("{key} is not a variable of llm-observatory; did you mean {nearest}?")]
    UnknownVariable {
        /// The variable.
        key: String,
        /// The one of ours that is spelt most like it.
        nearest: &'static str,
    },
    /// Buckets that cannot be used.
    #[error("prometheus.buckets for {which} cannot be used: {source}")]
    Buckets {
        /// Which histograms they are for.
        which: String,
        /// What is wrong with them.
        source: BucketsError,
    },
}
