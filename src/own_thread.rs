//! The mark on the observatory's own threads, by which the Layer knows not to observe them.
//!
//! A scoped dispatcher, even one that does nothing, would take tracing's fast path from the whole process.

#[cfg(feature = "otlp")]
mod restartable;

use std::cell::Cell;

#[cfg(feature = "otlp")]
pub(crate) use self::restartable::Restartable;

thread_local! { static IS_OWN: Cell<bool> = const { Cell::new(false) } }

/// Marks this thread as the observatory's own, for the rest of its life.
pub(crate) fn mark() {
    IS_OWN.set(true);
}

/// Whether this thread is the observatory's own.
#[inline]
pub(crate) fn is_marked() -> bool {
    IS_OWN.get()
}

/// A thread of ours with an executor of its own, and what tells it until when it may work.
#[cfg(any(feature = "alerting", feature = "otlp"))]
pub(crate) struct Executor {
    thread: std::thread::JoinHandle<()>,
    end: tokio::sync::watch::Sender<Option<std::time::Instant>>,
}

/// Resolves to the moment at which the work must be done, once it is to end; `None` where nobody says.
#[cfg(any(feature = "alerting", feature = "otlp"))]
pub(crate) type End = tokio::sync::watch::Receiver<Option<std::time::Instant>>;

#[cfg(any(feature = "alerting", feature = "otlp"))]
impl Executor {
    /// Starts a thread of this name, of which Linux shows fifteen characters. `waiting` threads beside it wait for
    /// what cannot be waited for in a future: names that are looked up, disks, a console.
    pub(crate) fn start<W>(
        name: &str,
        waiting: usize,
        work: impl FnOnce(End) -> W + Send + 'static,
    ) -> std::io::Result<Self>
    where
        W: Future<Output = ()>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(waiting)
            .thread_name("obs-wait")
            .on_thread_start(mark)
            .build()?;
        let (end, is_ended) = tokio::sync::watch::channel(None);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                mark();
                runtime.block_on(work(is_ended));
                runtime.shutdown_background();
            })?;
        Ok(Self { thread, end })
    }

    /// Says until when to work, without waiting for it.
    pub(crate) fn announce_end(&self, deadline: std::time::Instant) {
        // The thread may have ended by itself.
        let _ = self.end.send(Some(deadline));
    }

    /// Lets it work until `deadline`, and waits for it until then and `moment` longer.
    pub(crate) fn stop(self, deadline: std::time::Instant, moment: std::time::Duration) {
        self.announce_end(deadline);
        crate::observatory::join(self.thread, deadline + moment);
    }
}
