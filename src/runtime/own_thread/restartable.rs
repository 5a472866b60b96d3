//! Threads that can be stopped and started again, and that keep their state in between.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{End, Executor};

/// The time that a thread gets after its deadline to count the remaining items as dropped.
const TO_COUNT: Duration = Duration::from_millis(200);

/// A task that owns the state `P` and runs on its own thread between a start and a stop. The next start continues with
/// the same state.
pub(crate) struct Restartable<P> {
    name: &'static str,
    /// The maximum number of blocking threads, as for [`Executor::start`].
    waiting: usize,
    /// The state of the task while the task is stopped.
    parts: Arc<Mutex<Option<P>>>,
    running: Mutex<Option<Executor>>,
}

impl<P: Send + 'static> Restartable<P> {
    /// Creates a stopped task. Linux shows fifteen characters of the thread's name.
    pub(crate) fn new(name: &'static str, waiting: usize, parts: P) -> Self {
        Self {
            name,
            waiting,
            parts: Arc::new(Mutex::new(Some(parts))),
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
        work: impl FnOnce(P, End) -> W + Send + 'static,
    ) -> io::Result<()> {
        let mut running = lock(&self.running);
        if running.is_some() {
            return Ok(());
        }
        if lock(&self.parts).is_none() {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "the last one has not come to its end",
            ));
        }
        opens();
        let parts = Arc::clone(&self.parts);
        *running = Some(Executor::start(
            self.name,
            self.waiting,
            |end| async move {
                let Some(own) = lock(&parts).take() else {
                    return;
                };
                let own = work(own, end).await;
                *lock(&parts) = Some(own);
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
            executor.stop(deadline, TO_COUNT);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_with_what_it_had_and_not_beside_one_that_is_held_up() {
        let work = Restartable::new("obs-test", 1, 0);
        for turn in 1..=2 {
            let counts = |count: u32, mut end: End| async move {
                // Without the shutdown signal, this would wait for ever.
                let _ = end.wait_for(Option::is_some).await;
                count + 1
            };
            work.start(|| (), counts).unwrap();
            work.stop(Instant::now() + Duration::from_secs(5));
            assert_eq!(*lock(&work.parts), Some(turn));
        }
        let (held, holds) = std::sync::mpsc::channel::<()>();
        work.start(
            || (),
            |count, _| async move {
                let _ = holds.recv();
                count
            },
        )
        .unwrap();
        work.stop(Instant::now());
        let refused = work.start(|| panic!("it opens"), |count, _| async move { count });
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        drop(held);
    }
}
