//! Silences: who wants to hear nothing of which alerts, until when, and why.
//!
//! They behave as Alertmanager's: a silence that has begun keeps its matchers and its start; changing more than its
//! end, comment or author ends it and begins another one. Ended silences stay to be looked at for five days.

mod list;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use self::list::Silences;
use super::MatcherError;

/// Alertmanager: `--data.retention=120h`.
pub(crate) const RETENTION_MS: i64 = 5 * 86_400_000;
/// Silences that are kept at most; Alertmanager has no limit by default, memory here has.
pub(crate) const MAX_SILENCES: usize = 10_000;

/// What somebody wants silenced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SilenceRequest {
    /// The silence to change; `None` for a new one.
    #[serde(default)]
    pub id: Option<String>,
    /// Which alerts: all of these hold, and one of them does not hold for an absent label.
    pub matchers: Vec<String>,
    /// From when on, in milliseconds since the epoch; the past means now.
    pub starts_at: i64,
    /// Until when.
    pub ends_at: i64,
    /// Who wants it.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

/// A silence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Silence {
    /// What it is called by.
    pub id: String,
    /// Which alerts it keeps back.
    pub matchers: Vec<String>,
    /// From when on, in milliseconds since the epoch.
    pub starts_at: i64,
    /// Until when.
    pub ends_at: i64,
    /// When it was last changed.
    pub updated_at: i64,
    /// Who wants it.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

/// Where a silence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SilenceState {
    /// It has not begun.
    Pending,
    /// It keeps alerts back.
    Active,
    /// It is over.
    Expired,
}

/// Why a silence was not created, changed or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SilenceError {
    /// There is none with this id.
    #[error("there is no silence {0:?}")]
    NotFound(String),
    /// It is over already.
    #[error("silence {0:?} has already expired")]
    Expired(String),
    /// A matcher cannot be read.
    #[error("matchers: the text is wrong")]
    Matcher(#[from] MatcherError),
    /// It would silence everything.
    #[error(
        "matchers: at least one must not match an absent label, or all alerts would be silenced"
    )]
    MatchesEverything,
    /// A text that must be there is not.
    #[error("{0}: must not be empty")]
    Empty(&'static str),
    /// The end is not after the start, or lies in the past.
    #[error("ends_at: must lie after starts_at and in the future")]
    EndsTooEarly,
    /// There are as many as memory allows.
    #[error("there are {MAX_SILENCES} silences already; expire some")]
    TooMany,
}

impl SilenceRequest {
    /// Wants the alerts that match kept back from now until `ends_at`.
    #[must_use]
    pub fn until(ends_at: i64, matcher: impl Into<String>) -> Self {
        Self {
            matchers: vec![matcher.into()],
            ends_at,
            ..Self::default()
        }
    }

    /// Says who wants it, and why.
    #[must_use]
    pub fn because(mut self, created_by: impl Into<String>, comment: impl Into<String>) -> Self {
        self.created_by = created_by.into();
        self.comment = comment.into();
        self
    }
}

impl Silence {
    /// Where it stands at `now`.
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
