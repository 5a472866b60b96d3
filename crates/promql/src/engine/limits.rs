//! Enforces the limits on samples and time during a query.

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
            .finish()
    }
}

/// The samples between two checks of clock and flag: some hundred microseconds of work.
const CHECK_EVERY: u64 = 4096;

/// The remaining budget of a query.
#[derive(Debug)]
pub(super) struct Budget<'a> {
    control: Control<'a>,
    deadline: Option<Duration>,
    timeout: Duration,
    samples: u64,
    max_samples: u64,
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
            samples: 0,
            max_samples: options.max_samples,
            unchecked: 0,
        }
    }

    /// Counts samples that were read or produced.
    pub(super) fn spend(&mut self, samples: usize) -> Result<(), QueryError> {
        self.samples = self.samples.saturating_add(samples as u64);
        if self.samples > self.max_samples {
            return Err(QueryError::TooManySamples {
                limit: self.max_samples,
            });
        }
        // A step without samples counts too.
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
