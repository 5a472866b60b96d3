//! Threads that can be stopped and started again, and that keep their state in between.

use std::{
    io,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use super::{Executor, ShutdownDeadline};
use crate::runtime::lock;

/// The time that a thread gets after its deadline to count the remaining items as dropped.
const COUNTING_GRACE: Duration = Duration::from_millis(200);

/// A task that owns the state `P` and runs on its own thread between a start and a stop. The next start continues with
/// the same state.
pub(crate) struct Restartable<P> {
    name: &'static str,
    /// The maximum number of blocking threads, as for [`Executor::start`].
    max_blocking_threads: usize,
    /// The state of the task while the task is stopped.
    state: Arc<Mutex<Option<P>>>,
    running: Mutex<Option<Executor>>,
}

impl<P: Send + 'static> Restartable<P> {
    /// Creates a stopped task. Linux shows fifteen characters of the thread's name.
    pub(crate) fn new(name: &'static str, max_blocking_threads: usize, state: P) -> Self {
        Self {
            name,
            max_blocking_threads,
            state: Arc::new(Mutex::new(Some(state))),
            running: Mutex::new(None),
        }
    }

    /// Starts the thread, unless it runs. `opens` is called right before the thread is spawned, when only the system
    /// can still refuse it.
    ///
    /// # Errors
    ///
    /// Returns an error if the system cannot start a thread, or if the previous thread has not ended or has panicked.
    pub(crate) fn start<W: Future<Output = P>>(
        &self,
        opens: impl FnOnce(),
        work: impl FnOnce(P, ShutdownDeadline) -> W + Send + 'static,
    ) -> io::Result<()> {
        let mut running = lock(&self.running);
        if running.is_some() {
            return Ok(());
        }
        if lock(&self.state).is_none() {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "the previous thread has not ended",
            ));
        }
        opens();
        let state = Arc::clone(&self.state);
        *running = Some(Executor::start(
            self.name,
            self.max_blocking_threads,
            |end| async move {
                let Some(owned) = lock(&state).take() else {
                    return;
                };
                let owned = work(owned, end).await;
                *lock(&state) = Some(owned);
            },
        )?);
        Ok(())
    }

    /// Sends the deadline of the shutdown, without waiting for the end of the thread.
    pub(crate) fn announce_end(&self, deadline: Instant) {
        if let Some(executor) = &*lock(&self.running) {
            executor.announce_end(deadline);
        }
    }

    /// Sends the deadline of the shutdown, and waits for the end of the thread.
    pub(crate) fn stop(&self, deadline: Instant) {
        let executor = lock(&self.running).take();
        if let Some(executor) = executor {
            executor.stop(deadline, COUNTING_GRACE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_continues_with_the_state_unless_the_previous_thread_still_runs() {
        let work = Restartable::new("obs-test", 1, 0);
        for turn in 1..=2 {
            let counts = |count: u32, mut end: ShutdownDeadline| async move {
                // Without the shutdown signal, this would wait for ever.
                let _ = end.wait_for(Option::is_some).await;
                count + 1
            };
            work.start(|| (), counts).unwrap();
            work.stop(Instant::now() + Duration::from_secs(5));
            assert_eq!(*lock(&work.state), Some(turn));
        }
        let (release, is_released) = std::sync::mpsc::channel::<()>();
        work.start(
            || (),
            |count, _| async move {
                let _ = is_released.recv();
                count
            },
        )
        .unwrap();
        work.stop(Instant::now());
        let refused = work.start(|| panic!("it opens"), |count, _| async move { count });
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        drop(release);
    }
}
