//! The latch with which the application declares itself ready, and no longer ready.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use crate::runtime::named;

named! {
    /// The state of the latch.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum ReadinessState {
        /// The application has taken the latch, and not declared itself ready yet.
        Starting = "starting",
        /// The application is ready, or does not use the latch.
        Ready = "ready",
        /// The application or the observatory shuts down.
        ShuttingDown = "shutting_down",
    }
}

/// The latch of [`Health::readiness`](super::Health::readiness). Clones share it.
///
/// ```
/// # fn example(health: &llm_observatory::health::Health) {
/// let readiness = health.readiness(); // `/health/ready` and `/health/startup` fail from here on
/// // Load the models, then:
/// readiness.ready();
/// // On SIGTERM, before the service stops to accept requests:
/// readiness.shutting_down();
/// # }
/// ```
#[derive(Clone)]
pub struct Readiness(Arc<Latch>);

struct Latch {
    state: AtomicU8,
    /// True once the application uses the latch.
    is_taken: AtomicBool,
}

impl Readiness {
    /// Creates a latch that the application has not taken.
    pub(super) fn new() -> Self {
        Self(Arc::new(Latch {
            state: AtomicU8::new(ReadinessState::Ready as u8),
            is_taken: AtomicBool::new(false),
        }))
    }

    /// Hands the latch to the application, which is not ready from the first call on.
    pub(super) fn take(&self) {
        if !self.0.is_taken.swap(true, Ordering::AcqRel) {
            self.change(ReadinessState::Ready, ReadinessState::Starting);
        }
    }

    /// Declares the application ready. Has no effect once the application shuts down.
    pub fn ready(&self) {
        self.change(ReadinessState::Starting, ReadinessState::Ready);
    }

    /// Declares that the application shuts down. `Observatory::shutdown` does the same.
    pub fn shutting_down(&self) {
        let state = ReadinessState::ShuttingDown as u8;
        self.0.state.store(state, Ordering::Release);
    }

    /// Returns the state.
    #[must_use]
    pub fn state(&self) -> ReadinessState {
        let stored = usize::from(self.0.state.load(Ordering::Acquire));
        let state = ReadinessState::ALL.get(stored).copied();
        state.unwrap_or(ReadinessState::ShuttingDown)
    }

    fn change(&self, from: ReadinessState, to: ReadinessState) {
        let order = Ordering::AcqRel;
        // An error means that the latch is in another state, which stays.
        let _ = self
            .0
            .state
            .compare_exchange(from as u8, to as u8, order, Ordering::Acquire);
    }

    /// Returns the latch of a started observatory to the state before its shutdown.
    pub(super) fn restart(&self) {
        self.change(ReadinessState::ShuttingDown, ReadinessState::Ready);
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Readiness").field(&self.state()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shutdown_cannot_be_undone_by_ready() {
        let latch = Readiness::new();
        assert_eq!(latch.state(), ReadinessState::Ready);
        latch.take();
        assert_eq!(latch.state(), ReadinessState::Starting);
        latch.ready();
        latch.take();
        assert_eq!(latch.clone().state(), ReadinessState::Ready);
        latch.shutting_down();
        latch.ready();
        assert_eq!(latch.state(), ReadinessState::ShuttingDown);
    }
}
