//! Bounds the time of a batch: by the timeout of the batch, and by the shutdown of the observatory.

use std::time::{Duration, Instant};

use super::ExportError;
use crate::runtime::own_thread::ShutdownDeadline;

/// Time that an unreachable receiver gets after the shutdown signal. Without this limit, a developer without a collector
/// would wait for the whole shutdown timeout at each stop.
const UNREACHABLE_GRACE: Duration = Duration::from_secs(1);

/// The deadline of the current batch, and the shutdown signal.
pub(crate) struct Deadline {
    /// The shutdown signal with its deadline.
    shutdown: ShutdownDeadline,
    batch: Instant,
    /// The time at which this value first saw the shutdown signal.
    shutdown_seen_at: Option<Instant>,
}

impl Deadline {
    pub(crate) fn new(shutdown: ShutdownDeadline) -> Self {
        Self {
            shutdown,
            batch: Instant::now(),
            shutdown_seen_at: None,
        }
    }

    /// Starts a batch with this timeout.
    pub(crate) fn begin(&mut self, timeout: Duration) {
        self.batch = Instant::now() + timeout;
    }

    /// Runs `work`; `None` if the deadline passes first.
    pub(super) async fn within<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let batch = self.batch;
        tokio::select! {
            done = work => Some(done),
            () = tokio::time::sleep_until(batch.into()) => None,
            () = self.shutdown_passed() => None,
        }
    }

    /// Waits before another attempt; false if the attempt would come after the deadline. The shutdown signal ends the
    /// wait, since the next attempt may be the last one.
    pub(super) async fn pause(&mut self, pause: Duration, error: &ExportError) -> bool {
        let now = Instant::now();
        // Not `now + pause`: a receiver may ask for a time beyond the range of the clock.
        if pause >= self.earliest().saturating_duration_since(now) {
            return false;
        }
        if let Some(since) = self.shutdown_since() {
            let is_unreachable = matches!(error, ExportError::Unreachable(_));
            if is_unreachable && now + pause > since + UNREACHABLE_GRACE {
                return false;
            }
            tokio::time::sleep(pause).await;
            return true;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.signalled() => {}
        }
        true
    }

    /// Waits until `until`; false, without a wait, if the shutdown deadline comes first.
    pub(crate) async fn lasts_until(&mut self, until: Instant) -> bool {
        tokio::select! {
            () = tokio::time::sleep_until(until.into()) => return true,
            () = self.signalled() => {}
        }
        let lasts = self.shutdown_deadline().is_none_or(|end| until < end);
        if lasts {
            tokio::time::sleep_until(until.into()).await;
        }
        lasts
    }

    /// Waits for the shutdown signal.
    pub(crate) async fn signalled(&mut self) {
        // A closed channel counts as the signal, since no signal can follow.
        let _ = self.shutdown.wait_for(Option::is_some).await;
        self.shutdown_since();
    }

    /// Returns `true` if the shutdown signal was sent.
    pub(crate) fn is_shutting_down(&self) -> bool {
        self.shutdown_deadline().is_some()
    }

    /// Returns `true` if the shutdown deadline has passed.
    pub(crate) fn has_passed(&self) -> bool {
        self.shutdown_deadline()
            .is_some_and(|end| Instant::now() >= end)
    }

    fn shutdown_deadline(&self) -> Option<Instant> {
        let end = *self.shutdown.borrow();
        end.or_else(|| self.shutdown.has_changed().is_err().then(Instant::now))
    }

    /// The earlier one of the two deadlines.
    fn earliest(&self) -> Instant {
        let end = self.shutdown_deadline();
        end.map_or(self.batch, |end| end.min(self.batch))
    }

    fn shutdown_since(&mut self) -> Option<Instant> {
        if self.is_shutting_down() {
            self.shutdown_seen_at.get_or_insert_with(Instant::now);
        }
        self.shutdown_seen_at
    }

    async fn shutdown_passed(&mut self) {
        self.signalled().await;
        if let Some(end) = self.shutdown_deadline() {
            tokio::time::sleep_until(end.into()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;

    #[tokio::test]
    async fn after_the_shutdown_signal_an_unreachable_receiver_is_given_up() {
        let (ends, end) = watch::channel(None);
        let mut deadline = Deadline::new(end);
        deadline.begin(Duration::from_mins(1));
        let unreachable = ExportError::Unreachable("refused".to_owned());
        let start = Instant::now();
        let long = Duration::from_secs(30);
        let announced = async {
            tokio::task::yield_now().await;
            ends.send(Some(start + Duration::from_secs(20))).unwrap();
        };
        // A signal during the wait starts the next attempt at once.
        let (goes_on, ()) = tokio::join!(deadline.pause(long, &unreachable), announced);
        assert!(goes_on);
        assert!(!deadline.pause(Duration::from_secs(2), &unreachable).await);
        let later = ExportError::Timeout;
        assert!(deadline.pause(Duration::from_millis(1), &later).await);
        assert!(deadline.pause(Duration::from_millis(1), &unreachable).await);
        assert!(!deadline.pause(long, &later).await, "beyond the end");
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_receiver_gets_the_pause_that_it_asks_for_within_the_shutdown_deadline() {
        let (ends, end) = watch::channel(None);
        let mut deadline = Deadline::new(end);
        let now = || tokio::time::Instant::now().into_std();
        let in_seconds = |seconds| now() + Duration::from_secs(seconds);
        assert!(deadline.lasts_until(in_seconds(60)).await);
        ends.send(Some(in_seconds(20))).unwrap();
        assert!(!deadline.lasts_until(in_seconds(30)).await);
        assert!(deadline.lasts_until(in_seconds(10)).await);
    }

    #[tokio::test]
    async fn without_a_sender_of_the_shutdown_signal_the_shutdown_has_begun() {
        let (ends, end) = watch::channel(None);
        let mut deadline = Deadline::new(end);
        deadline.begin(Duration::from_mins(1));
        drop(ends);
        deadline.signalled().await;
        assert!(deadline.is_shutting_down() && deadline.has_passed());
        assert!(
            deadline
                .within(std::future::pending::<()>())
                .await
                .is_none()
        );
    }
}
