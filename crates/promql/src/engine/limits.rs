//! Enforces the limits on held samples and on time during a query.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::error::QueryError;
use super::options::EngineOptions;

/// The caller's means to limit and cancel a run.
#[derive(Clone, Copy, Default)]
pub struct Control<'a> {
    /// A monotonic clock. Without a clock, the time limit is not enforced.
    pub clock: Option<&'a dyn Fn() -> Duration>,
    /// A flag that cancels the run once it is `true`.
    pub cancel: Option<&'a AtomicBool>,
    /// The caller's own limit on held samples, which several runs may share. The function receives the number of samples
    /// that the run holds whenever the number has changed by some thousands, and returns an error that ends the run. The
    /// last number includes the samples of the result.
    pub held: Option<&'a dyn Fn(u64) -> Result<(), String>>,
}

impl Control<'_> {
    /// Returns whether the caller has canceled the run.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.cancel.is_some_and(|flag| flag.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for Control<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("clock", &self.clock.is_some())
            .field("cancel", &self.cancel)
            .field("held", &self.held.is_some())
            .finish()
    }
}

/// The samples between two checks of clock and flag: some hundred microseconds of work.
const CHECK_EVERY: u64 = 4096;
/// The change of held samples that the caller is told: 64 KiB of samples.
const REPORT_EVERY: u64 = 4096;

/// The remaining budget of a query: samples held at once, and time.
///
/// The limit on samples is a limit on memory, as in Prometheus. A run holds the samples that it loaded, the result so far
/// and the values of the current step. The number of samples that a run reads one after another is limited by time only.
#[derive(Debug)]
pub(super) struct Budget<'a> {
    control: Control<'a>,
    deadline: Option<Duration>,
    timeout: Duration,
    /// The samples that the run holds across steps: the samples of selectors and subqueries, and the result.
    kept: u64,
    /// The samples that the current step holds: the samples of a range, and the values of operands.
    of_step: u64,
    max_samples: u64,
    /// The number of held samples that the caller knows.
    reported: u64,
    unchecked: u64,
}

impl<'a> Budget<'a> {
    pub(super) fn new(control: Control<'a>, options: &EngineOptions) -> Self {
        Self {
            control,
            deadline: control
                .clock
                .map(|now| now().saturating_add(options.timeout)),
            timeout: options.timeout,
            kept: 0,
            of_step: 0,
            max_samples: options.max_samples,
            reported: 0,
            unchecked: 0,
        }
    }

    /// Adds samples that the current step holds.
    pub(super) fn hold(&mut self, samples: usize) -> Result<(), QueryError> {
        self.of_step = self.of_step.saturating_add(samples as u64);
        self.check_samples(0)?;
        self.report()?;
        self.work(samples)
    }

    /// Removes samples that the current step held.
    pub(super) fn release(&mut self, samples: usize) {
        self.of_step = self.of_step.saturating_sub(samples as u64);
    }

    /// Returns the number of samples that the current step holds, for [`settle`](Self::settle).
    pub(super) fn of_step(&self) -> u64 {
        self.of_step
    }

    /// Replaces all samples that the step holds since `before` by a value's samples: the operands of the value are gone.
    pub(super) fn settle(&mut self, before: u64, samples: usize) -> Result<(), QueryError> {
        self.of_step = before;
        self.hold(samples)
    }

    /// Adds samples that the run holds across steps.
    pub(super) fn keep(&mut self, samples: usize) -> Result<(), QueryError> {
        self.kept = self.kept.saturating_add(samples as u64);
        self.check_samples(0)?;
        self.report()?;
        self.work(samples)
    }

    /// Removes samples that the run held across steps.
    pub(super) fn forget(&mut self, samples: usize) {
        self.kept = self.kept.saturating_sub(samples as u64);
    }

    /// Fails if the samples that the run holds and `more` samples exceed the limit.
    pub(super) fn check_samples(&self, more: u64) -> Result<(), QueryError> {
        let held = self.kept.saturating_add(self.of_step);
        if held.saturating_add(more) > self.max_samples {
            return Err(QueryError::TooManySamples {
                limit: self.max_samples,
            });
        }
        Ok(())
    }

    /// Reports the held samples to the caller, in steps of [`REPORT_EVERY`].
    fn report(&mut self) -> Result<(), QueryError> {
        let Some(report) = self.control.held else {
            return Ok(());
        };
        let held = self.kept.saturating_add(self.of_step);
        let step = held.div_ceil(REPORT_EVERY).saturating_mul(REPORT_EVERY);
        // A run whose steps hold more and less in turn does not report each of them.
        if step > self.reported || self.reported - step > REPORT_EVERY {
            report(step).map_err(QueryError::OverBudget)?;
            self.reported = step;
        }
        Ok(())
    }

    /// Counts samples that were read or produced, and checks clock and flag from time to time.
    pub(super) fn work(&mut self, samples: usize) -> Result<(), QueryError> {
        // A step without samples counts, too.
        self.unchecked += samples as u64 + 1;
        if self.unchecked < CHECK_EVERY {
            return Ok(());
        }
        self.check()
    }

    pub(super) fn check(&mut self) -> Result<(), QueryError> {
        self.unchecked = 0;
        if self.control.is_canceled() {
            return Err(QueryError::Canceled);
        }
        if let (Some(now), Some(deadline)) = (self.control.clock, self.deadline)
            && now() > deadline
        {
            return Err(QueryError::Timeout {
                limit: self.timeout,
            });
        }
        Ok(())
    }
}
