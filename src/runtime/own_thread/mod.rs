//! Threads of the observatory, which carry a thread-local mark so that the Layer does not observe them.
//!
//! A scoped dispatcher that does nothing would have the same effect, but it disables tracing's fast path in the whole
//! process.

mod joinable;
#[cfg(feature = "otlp")]
mod restartable;

use std::cell::Cell;

pub(crate) use self::joinable::Joinable;
#[cfg(feature = "otlp")]
pub(crate) use self::restartable::Restartable;

thread_local! { static IS_OWN: Cell<bool> = const { Cell::new(false) } }

/// Marks this thread as the observatory's own, for the rest of its life.
pub(crate) fn mark() {
    IS_OWN.set(true);
}

/// Returns `true` if this thread is the observatory's own.
#[inline]
pub(crate) fn is_marked() -> bool {
    IS_OWN.get()
}

/// A thread with an async executor of its own, and the sender of its shutdown deadline.
#[cfg(any(feature = "alerting", feature = "health", feature = "otlp"))]
pub(crate) struct Executor {
    thread: Joinable,
    end: tokio::sync::watch::Sender<Option<std::time::Instant>>,
}

/// Receives the deadline of the shutdown, once the shutdown has begun.
#[cfg(any(feature = "alerting", feature = "health", feature = "otlp"))]
pub(crate) type ShutdownDeadline = tokio::sync::watch::Receiver<Option<std::time::Instant>>;

#[cfg(any(feature = "alerting", feature = "health", feature = "otlp"))]
impl Executor {
    /// Starts a thread with this name, of which Linux shows fifteen characters. Up to `max_blocking_threads` threads beside it
    /// run blocking calls: name resolution, disks, a console.
    pub(crate) fn start<W>(
        name: &str,
        max_blocking_threads: usize,
        work: impl FnOnce(ShutdownDeadline) -> W + Send + 'static,
    ) -> std::io::Result<Self>
    where
        W: Future<Output = ()>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(max_blocking_threads)
            .thread_name("obs-wait")
            .on_thread_start(mark)
            .build()?;
        let (end, receiver) = tokio::sync::watch::channel(None);
        let thread = Joinable::spawn(name, move || {
            runtime.block_on(work(receiver));
            runtime.shutdown_background();
        })?;
        Ok(Self { thread, end })
    }

    /// Sends the deadline of the shutdown, without waiting for the end of the thread.
    pub(crate) fn announce_end(&self, deadline: std::time::Instant) {
        // The thread may have ended by itself.
        let _ = self.end.send(Some(deadline));
    }

    /// Sends the deadline of the shutdown, and waits for the end of the thread until `grace` after the deadline.
    pub(crate) fn stop(self, deadline: std::time::Instant, grace: std::time::Duration) {
        self.announce_end(deadline);
        self.thread.join(deadline + grace);
    }
}
