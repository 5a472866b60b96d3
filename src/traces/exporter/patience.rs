//! How long a receiver is tried: a batch has its time, and the end of everything cuts it short.

use std::time::{Duration, Instant};

use super::ExportError;
use crate::own_thread::End;

/// How long nobody is waited for once the end is announced: a developer without a collector would wait out the deadline
/// at each stop.
const FOR_NOBODY: Duration = Duration::from_secs(1);

/// The time that there is.
pub(crate) struct Patience {
    end: End,
    /// Of the batch under way.
    deadline: Instant,
    /// When it was noticed that the end is announced.
    ending_since: Option<Instant>,
}

impl Patience {
    pub(crate) fn new(end: End) -> Self {
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

    /// Waits for the end to be announced.
    pub(crate) async fn announced(&mut self) {
        // Nobody to announce it: who would is gone.
        if self.end.wait_for(Option::is_some).await.is_err() {
            std::future::pending::<()>().await;
        }
        self.ending_since();
    }

    /// Whether the end is announced.
    pub(crate) fn is_ending(&self) -> bool {
        self.end.borrow().is_some()
    }

    /// Whether the announced end has come.
    pub(crate) fn is_over(&self) -> bool {
        self.end.borrow().is_some_and(|end| Instant::now() >= end)
    }

    fn over(&self) -> Instant {
        let end = *self.end.borrow();
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
        let end = *self.end.borrow();
        if let Some(end) = end {
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
}
