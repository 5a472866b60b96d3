//! Defines silences, which suppress the notifications of matching alerts for a limited time.
//!
//! Silences behave as in Alertmanager: the matchers and the start of an active silence do not change. An update that
//! changes them expires the silence and creates another. Expired silences are kept for five days.

mod list;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use self::list::Silences;
use super::MatcherError;

/// Alertmanager's default: `--data.retention=120h`.
pub(crate) const RETENTION: Duration = Duration::from_hours(120);
/// Maximum number of silences. Alertmanager has no limit by default; this limit bounds the memory.
pub(crate) const MAX_SILENCES: usize = 10_000;

/// A request to create or change a silence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SilenceRequest {
    /// Id of the silence to change; `None` for a new silence.
    #[serde(default)]
    pub id: Option<String>,
    /// Matchers, all of which must match. At least one of them must not match an absent label.
    pub matchers: Vec<String>,
    /// Start, in milliseconds since the epoch; a time in the past means now.
    pub starts_at: i64,
    /// End, in milliseconds since the epoch.
    pub ends_at: i64,
    /// Name of the author.
    pub created_by: String,
    /// Reason for the silence.
    pub comment: String,
}

/// A silence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Silence {
    /// Id of the silence.
    pub id: String,
    /// Matchers of the alerts that are suppressed.
    pub matchers: Vec<String>,
    /// Start, in milliseconds since the epoch.
    pub starts_at: i64,
    /// End, in milliseconds since the epoch.
    pub ends_at: i64,
    /// Time of the last change, in milliseconds since the epoch.
    pub updated_at: i64,
    /// Name of the author.
    pub created_by: String,
    /// Reason for the silence.
    pub comment: String,
}

/// The state of a silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SilenceState {
    /// The silence has not started.
    Pending,
    /// The silence suppresses alerts.
    Active,
    /// The silence has ended.
    Expired,
}

/// An error of creating, changing or expiring a silence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SilenceError {
    /// The id is unknown.
    #[error("there is no silence {0:?}")]
    NotFound(String),
    /// The silence has ended already.
    #[error("silence {0:?} has already expired")]
    Expired(String),
    /// A matcher is invalid.
    #[error("matchers: the text is invalid")]
    Matcher(#[from] MatcherError),
    /// The matchers match every alert.
    #[error(
        "matchers: at least one must not match an absent label, or all alerts would be silenced"
    )]
    MatchesEverything,
    /// A required text is empty.
    #[error("{0}: must not be empty")]
    Empty(&'static str),
    /// The end is not after the start, or is in the past.
    #[error("ends_at: must lie after starts_at and in the future")]
    EndsTooEarly,
    /// The number of silences has reached the limit.
    #[error("there are {MAX_SILENCES} silences already; expire some")]
    TooMany,
}

impl SilenceRequest {
    /// Creates a request that silences matching alerts from now until `ends_at`, in milliseconds since the epoch.
    #[must_use]
    pub fn until(ends_at: i64, matcher: impl Into<String>) -> Self {
        Self {
            matchers: vec![matcher.into()],
            ends_at,
            ..Self::default()
        }
    }

    /// Sets the author and the reason.
    #[must_use]
    pub fn because(mut self, created_by: impl Into<String>, comment: impl Into<String>) -> Self {
        self.created_by = created_by.into();
        self.comment = comment.into();
        self
    }
}

impl Silence {
    /// Returns the state at `now`.
    #[must_use]
    pub fn state_at(&self, now: i64) -> SilenceState {
        if now < self.starts_at {
            SilenceState::Pending
        } else if now >= self.ends_at {
            SilenceState::Expired
        } else {
            SilenceState::Active
        }
    }
}
