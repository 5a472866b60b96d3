//! The changes of the states of checks.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime},
};

use serde::Serialize;

use super::CheckState;

/// A change of the state of a check.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HealthChange {
    /// The name of the check.
    pub check: String,
    /// The state before.
    pub from: CheckState,
    /// The state after.
    pub to: CheckState,
    /// The time of the change.
    #[serde(serialize_with = "time")]
    pub at: SystemTime,
    /// The time for which the state before lasted.
    #[serde(rename = "lasted_seconds", serialize_with = "seconds")]
    pub lasted: Duration,
    /// The message of the state after.
    pub message: String,
}

/// The last changes, oldest first.
#[derive(Debug, Default)]
pub(super) struct History(VecDeque<HealthChange>);

impl History {
    /// Adds a change; drops the oldest changes beyond `max`.
    pub(super) fn push(&mut self, change: HealthChange, max: usize) {
        while self.0.len() >= max.max(1) {
            self.0.pop_front();
        }
        self.0.push_back(change);
    }

    pub(super) fn all(&self) -> Vec<HealthChange> {
        self.0.iter().cloned().collect()
    }
}

fn time<S: serde::Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&super::report::rfc3339(*time))
}

fn seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((time.as_secs_f64() * 1e3).round() / 1e3)
}
