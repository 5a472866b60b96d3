//! How long a receiver is tried: a batch has its time, and the end of everything cuts it short.

use std::time::{Duration, Instant};

use super::ExportError;
use crate::runtime::own_thread::ShutdownDeadline;

/// How long nobody is waited for once the end is announced: a developer without a collector would wait out the deadline
/// at each stop.
const FOR_NOBODY: Duration = Duration::from_secs(1);

/// The time that there is.
pub(crate) struct Patience {
    end: ShutdownDeadline,
    /// Of the batch under way.
    deadline: Instant,
    /// When it was noticed that the end is announced.
    ending_since: Option<Instant>,
}

impl Patience {
    pub(crate) fn new(end: ShutdownDeadline) -> Self {
        Self {
            end,
            deadline: Instant::now(),
            ending_since: None,
        }
    }

    /// A batch begins that may take so long.
    pub(crate) fn begin(&mut self, time: Duration) {
        self.deadline = Instant::now() + time;
    }

    /// What comes of `work`; `None` where there was no time for it.
    pub(super) async fn within<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let deadline = self.deadline;
        tokio::select! {
            done = work => Some(done),
            () = tokio::time::sleep_until(deadline.into()) => None,
            () = self.end_passed() => None,
        }
    }

    /// Waits before another attempt; false where it would come to nothing. Once the end is announced the attempt comes
    /// at once: it may be the last.
    pub(super) async fn pause(&mut self, pause: Duration, error: &ExportError) -> bool {
        let now = Instant::now();
        // Not `now + pause`: a receiver may name a time that no clock can tell.
        if pause >= self.over().saturating_duration_since(now) {
            return false;
        }
        if let Some(since) = self.ending_since() {
            let is_nobody_there = matches!(error, ExportError::Unreachable(_));
            if is_nobody_there && now + pause > since + FOR_NOBODY {
                return false;
            }
            tokio::time::sleep(pause).await;
            return true;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.announced() => {}
        }
        true
    }

    /// Waits until `until`; false where the end comes first, which is not waited for.
    pub(crate) async fn lasts_until(&mut self, until: Instant) -> bool {
        tokio::select! {
            () = tokio::time::sleep_until(until.into()) => return true,
            () = self.announced() => {}
        }
        let lasts = self.end().is_none_or(|end| until < end);
        if lasts {
            tokio::time::sleep_until(until.into()).await;
        }
        lasts
    }

    /// Waits for the end to be announced.
    pub(crate) async fn announced(&mut self) {
        // Nobody is there any more to announce it: this is the end.
        let _ = self.end.wait_for(Option::is_some).await;
        self.ending_since();
    }

    /// Whether the end is announced.
    pub(crate) fn is_ending(&self) -> bool {
        self.end().is_some()
    }

    /// Whether the announced end has come.
    pub(crate) fn is_over(&self) -> bool {
        self.end().is_some_and(|end| Instant::now() >= end)
    }

    /// The announced end.
    fn end(&self) -> Option<Instant> {
        let end = *self.end.borrow();
        end.or_else(|| self.end.has_changed().is_err().then(Instant::now))
    }

    fn over(&self) -> Instant {
        let end = self.end();
        end.map_or(self.deadline, |end| end.min(self.deadline))
    }

    fn ending_since(&mut self) -> Option<Instant> {
        if self.is_ending() {
            self.ending_since.get_or_insert_with(Instant::now);
        }
        self.ending_since
    }

    /// Waits for the announced end to come.
    async fn end_passed(&mut self) {
        self.announced().await;
        if let Some(end) = self.end() {
            tokio::time::sleep_until(end.into()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;

    #[tokio::test]
    async fn at_the_end_nobody_is_waited_for_in_vain() {
        let (ends, end) = watch::channel(None);
        let mut patience = Patience::new(end);
        patience.begin(Duration::from_mins(1));
        let nobody = ExportError::Unreachable("refused".to_owned());
        let start = Instant::now();
        let long = Duration::from_secs(30);
        let announced = async {
            tokio::task::yield_now().await;
            ends.send(Some(start + Duration::from_secs(20))).unwrap();
        };
        // Announced while it waits, the next attempt comes at once.
        let (goes_on, ()) = tokio::join!(patience.pause(long, &nobody), announced);
        assert!(goes_on);
        assert!(!patience.pause(Duration::from_secs(2), &nobody).await);
        let later = ExportError::Timeout;
        assert!(patience.pause(Duration::from_millis(1), &later).await);
        assert!(patience.pause(Duration::from_millis(1), &nobody).await);
        assert!(!patience.pause(long, &later).await, "beyond the end");
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_receiver_is_left_alone_as_long_as_it_asks_or_there_is_time() {
        let (ends, end) = watch::channel(None);
        let mut patience = Patience::new(end);
        let now = || tokio::time::Instant::now().into_std();
        let in_seconds = |seconds| now() + Duration::from_secs(seconds);
        assert!(patience.lasts_until(in_seconds(60)).await);
        ends.send(Some(in_seconds(20))).unwrap();
        assert!(!patience.lasts_until(in_seconds(30)).await);
        assert!(patience.lasts_until(in_seconds(10)).await);
    }

    #[tokio::test]
    async fn where_nobody_is_left_to_announce_the_end_it_has_come() {
        let (ends, end) = watch::channel(None);
        let mut patience = Patience::new(end);
        patience.begin(Duration::from_mins(1));
        drop(ends);
        patience.announced().await;
        assert!(patience.is_ending() && patience.is_over());
        assert!(
            patience
                .within(std::future::pending::<()>())
                .await
                .is_none()
        );
    }
}
