//! Threads that can be joined with a deadline.

use std::{
    io,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread::JoinHandle,
    time::Instant,
};

use super::mark;

/// A thread of the observatory, which [`Joinable::join`] waits for until a deadline.
pub(crate) struct Joinable {
    thread: JoinHandle<()>,
    /// Disconnects when the thread ends, whether it returns or panics.
    done: Receiver<()>,
}

impl Joinable {
    /// Starts a marked thread with this name, of which Linux shows fifteen characters.
    pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let (is_alive, done): (Sender<()>, _) = channel();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let _is_alive = is_alive;
                mark();
                work();
            })?;
        Ok(Self { thread, done })
    }

    /// Waits for the end of the thread until `deadline`, then detaches it.
    pub(crate) fn join(self, deadline: Instant) {
        // The last clone of an observatory may be dropped on one of its own threads, which cannot join itself.
        if self.thread.thread().id() == std::thread::current().id() {
            return;
        }
        let timeout = deadline.saturating_duration_since(Instant::now());
        if self.done.recv_timeout(timeout) == Err(RecvTimeoutError::Disconnected) {
            // The error is the panic of the thread; the thread has ended in this case too.
            let _ = self.thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn join_returns_at_the_end_of_the_thread_or_at_the_deadline() {
        let start = Instant::now();
        let panics = Joinable::spawn("obs-test", || panic!("on purpose")).unwrap();
        panics.join(start + Duration::from_mins(1));
        assert!(start.elapsed() < Duration::from_secs(30));
        let (release, is_released) = channel::<()>();
        let waits = Joinable::spawn("obs-test", move || {
            let _ = is_released.recv();
        });
        waits
            .unwrap()
            .join(Instant::now() + Duration::from_millis(5));
        drop(release);
    }
}
