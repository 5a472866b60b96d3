//! The thread that sends notifications.

use std::{
    io,
    time::{Duration, Instant},
};

use crate::{
    alerting::Runner,
    runtime::own_thread::{Executor, ShutdownDeadline},
};

/// Threads for the disk, for looking names up and for the console: one that hangs must not hold the others up.
const BLOCKING_THREADS: usize = 64;

/// The thread, and what ends it.
pub(crate) struct Notifying(Executor);

impl Notifying {
    /// Its name; Linux shows fifteen characters of it.
    pub(crate) const NAME: &str = "obs-notify";

    pub(super) fn start(runner: Runner) -> io::Result<Self> {
        let work = |mut end: ShutdownDeadline| {
            runner.run(async move {
                // Told or dropped: either is an end.
                let told = end.wait_for(Option::is_some).await;
                told.ok().and_then(|deadline| *deadline)
            })
        };
        Executor::start(Self::NAME, BLOCKING_THREADS, work).map(Self)
    }

    /// Lets what is under way finish, until `deadline`; the rest is in the outbox for the next start.
    pub(crate) fn stop(self, deadline: Instant) {
        self.0.stop(deadline, Duration::ZERO);
    }
}
