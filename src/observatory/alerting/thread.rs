//! The thread that sends notifications.

use std::{io, thread::JoinHandle, time::Instant};

use tokio::sync::oneshot;

use crate::{alerting::Runner, observatory::join, own_thread};

/// Threads for the disk, for looking names up and for the console: one that hangs must not hold the others up.
const BLOCKING_THREADS: usize = 64;

/// The thread, and what ends it.
pub(crate) struct Notifying {
    thread: JoinHandle<()>,
    stop: oneshot::Sender<Instant>,
}

impl Notifying {
    /// Its name; Linux shows fifteen characters of it.
    pub(crate) const NAME: &str = "obs-notify";

    pub(super) fn start(runner: Runner) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name("obs-wait")
            .on_thread_start(own_thread::mark)
            .build()?;
        let (stop, is_stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name(Self::NAME.to_owned())
            .spawn(move || {
                own_thread::mark();
                // Sent or dropped: either is an end.
                runtime.block_on(runner.run(async { is_stopped.await.ok() }));
                runtime.shutdown_background();
            })?;
        Ok(Self { thread, stop })
    }

    /// Lets what is under way finish, until `deadline`; the rest is in the outbox for the next start.
    pub(crate) fn stop(self, deadline: Instant) {
        // The thread may have ended by itself.
        let _ = self.stop.send(deadline);
        join(self.thread, deadline);
    }
}
