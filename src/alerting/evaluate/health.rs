//! Records the outcomes of a rule's evaluations.

use std::time::Duration;

/// The outcomes of a rule's evaluations.
#[derive(Clone, Debug, Default)]
pub(super) struct RuleHealth {
    pub(super) error: Option<String>,
    pub(super) evaluations: u64,
    pub(super) failures: u64,
    /// Milliseconds since the epoch.
    pub(super) last_evaluation: Option<i64>,
    /// Zero without a clock.
    pub(super) duration: Duration,
}

impl RuleHealth {
    /// Records an evaluation.
    pub(super) fn record(&mut self, at: i64, duration: Duration, outcome: &Result<(), String>) {
        self.evaluations += 1;
        self.last_evaluation = Some(at);
        self.duration = duration;
        self.error = outcome.as_ref().err().cloned();
        self.failures += u64::from(outcome.is_err());
    }

    /// Returns the health as Prometheus's API names it.
    pub(super) fn name(&self) -> &'static str {
        match (&self.error, self.evaluations) {
            (Some(_), _) => "err",
            (None, 0) => "unknown",
            (None, _) => "ok",
        }
    }
}
