//! Defines the severities of alerts.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::runtime::named;

named! {
    /// The severity of an alert, in ascending order; the value of the label `severity`.
    #[derive(
        Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
    )]
    #[serde(rename_all = "lowercase")]
    pub enum Severity {
        /// For information only.
        Info = "info",
        /// Needs attention during working hours.
        #[default]
        Warning = "warning",
        /// A part of the service does not work.
        Error = "error",
        /// Needs immediate action.
        Critical = "critical",
    }
}

/// A text that is not the name of a severity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("severity is {0:?}, but must be one of `info`, `warning`, `error`, `critical`")]
pub struct UnknownSeverity(String);

impl Severity {
    /// Returns the next higher severity; [`Critical`](Self::Critical) stays critical.
    #[must_use]
    pub const fn raised(self) -> Self {
        match self {
            Self::Info => Self::Warning,
            Self::Warning => Self::Error,
            Self::Error | Self::Critical => Self::Critical,
        }
    }
}

impl FromStr for Severity {
    type Err = UnknownSeverity;

    fn from_str(text: &str) -> Result<Self, UnknownSeverity> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownSeverity(text.to_owned()))
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
