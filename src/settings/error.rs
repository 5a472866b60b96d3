//! Errors of a configuration.

use std::{borrow::Cow, path::PathBuf};

use super::ConfigProblem;
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
    /// The configuration file has an unknown key.
    #[error("{key} is not a key of the configuration{}", suggestion(.nearest.as_deref()))]
    UnknownKey {
        /// The key.
        key: String,
        /// The known key with the most similar name.
        nearest: Option<String>,
    },
    /// A part of the configuration is invalid.
    #[error("{key}: {problem}")]
    Value {
        /// The key.
        key: String,
        /// The problem, with its place and the valid values.
        problem: String,
    },
    /// The configuration file cannot be used.
    #[error("{} {problem}", .path.display())]
    File {
        /// The path of the file.
        path: PathBuf,
        /// The problem.
        problem: String,
    },
    /// The layers of the configuration have several problems, or a problem with its place.
    #[error("{}", lines(.0))]
    Problems(Vec<ConfigProblem>),
    /// The bounds of histogram buckets are invalid.
    #[error("prometheus.buckets for {metrics} cannot be used: {problem}")]
    Buckets {
        /// The histograms that the bounds are for.
        metrics: String,
        /// The text of the [`BucketsError`](crate::BucketsError).
        problem: String,
    },
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| {
        format!("; did you mean `{nearest}`?")
    })
}

fn lines(problems: &[ConfigProblem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

impl ConfigError {
    /// Returns the key of an invalid value.
    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            Self::Invalid { key, .. }
            | Self::Missing { key, .. }
            | Self::UnknownKey { key, .. }
            | Self::Value { key, .. } => Some(key),
            Self::Buckets { .. } => Some("prometheus.buckets"),
            Self::UnknownVariable { .. } | Self::File { .. } | Self::Problems(_) => None,
        }
    }
}
