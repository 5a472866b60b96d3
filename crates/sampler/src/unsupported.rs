//! The counterpart of `linux` for platforms without an implementation.

use std::{convert::Infallible, time::Duration};

use crate::{Counters, Module, Options, Sample, StartError};

/// A session, which this platform cannot start.
#[derive(Debug)]
pub struct Session(Infallible);

impl Session {
    /// Returns [`StartError::Unsupported`].
    ///
    /// # Errors
    ///
    /// Always.
    pub fn start(_: Options) -> Result<Self, StartError> {
        Err(StartError::Unsupported)
    }

    /// Calls `sample` with each stored sample.
    pub fn drain(&mut self, _: impl FnMut(Sample)) {
        match self.0 {}
    }

    /// Stops the timer.
    pub fn pause(&mut self) {
        match self.0 {}
    }

    /// Returns the counts since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        match self.0 {}
    }

    /// Returns the modules that were loaded at the start.
    #[must_use]
    pub fn modules(&self) -> &[Module] {
        match self.0 {}
    }

    /// Returns whether the signal is still handled by this crate.
    #[must_use]
    pub fn has_signal(&self) -> bool {
        match self.0 {}
    }
}

/// Returns [`StartError::Unsupported`].
///
/// # Errors
///
/// Always.
pub fn sample_thread(_: i32, _: Options, _: Duration) -> Result<(Sample, Vec<Module>), StartError> {
    Err(StartError::Unsupported)
}
