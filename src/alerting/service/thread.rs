//! Runs the delivery of notifications on its own thread.

use std::{
    io,
    time::{Duration, Instant},
};

use crate::{
    alerting::Runner,
    runtime::own_thread::{Executor, ShutdownDeadline},
};

/// The maximum number of threads for disk, DNS and console: a blocked thread must not delay the other work.
const MAX_BLOCKING_THREADS: usize = 64;

/// The running thread with its shutdown signal.
pub(crate) struct Notifying(Executor);

impl Notifying {
    /// The name of the thread; Linux shows the first fifteen characters.
    pub(crate) const NAME: &str = "obs-notify";

    pub(super) fn start(runner: Runner) -> io::Result<Self> {
        let work = |mut end: ShutdownDeadline| {
            runner.run(async move {
                // A dropped sender is a shutdown signal without a deadline.
                let signal = end.wait_for(Option::is_some).await;
                signal.ok().and_then(|deadline| *deadline)
            })
        };
        Executor::start(Self::NAME, MAX_BLOCKING_THREADS, work).map(Self)
    }

    /// Waits for the notifications in flight until `deadline`; the others stay in the outbox for the next start.
    pub(crate) fn stop(self, deadline: Instant) {
        self.0.stop(deadline, Duration::ZERO);
    }
}
