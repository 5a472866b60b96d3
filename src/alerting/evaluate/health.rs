//! How a rule has fared.

use std::time::Duration;

/// How a rule has fared.
#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    pub(super) error: Option<String>,
    pub(super) evaluations: u64,
    pub(super) failures: u64,
    /// Milliseconds since the epoch.
    pub(super) last_evaluation: Option<i64>,
    /// Zero where no clock was given.
    pub(super) duration: Duration,
}

impl Health {
    /// Takes note of an evaluation.
    pub(super) fn note(&mut self, at: i64, duration: Duration, outcome: &Result<(), String>) {
        self.evaluations += 1;
        self.last_evaluation = Some(at);
        self.duration = duration;
        self.error = outcome.as_ref().err().cloned();
        self.failures += u64::from(outcome.is_err());
    }

    /// As Prometheus's API names it.
    pub(super) fn name(&self) -> &'static str {
        match (&self.error, self.evaluations) {
            (Some(_), _) => "err",
            (None, 0) => "unknown",
            (None, _) => "ok",
        }
    }
}
