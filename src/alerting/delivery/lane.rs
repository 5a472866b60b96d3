//! One address: its queue, its attempts, its backoff.
//!
//! A failure that another attempt may mend holds the whole lane back, since the next message would meet the same
//! peer; but the message that failed goes to the end of the queue, so that one that the peer chokes on does not keep
//! the others for ever.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::mpsc;

use super::{TimeSource, unwind::attempt};
use crate::alerting::{Backoff, FailureClass, Notification, Notifier, NotifyError, Receipt};

/// The longest wait that a peer can ask for: one that names next year must not silence its channel until then.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// What became of a notification.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) notification: Arc<Notification>,
    pub(super) attempts: u32,
    pub(super) outcome: Result<Receipt, NotifyError>,
}

impl Settled {
    /// Says so when it failed. Never under a lock: whoever listens to the log may call us.
    pub(super) fn log(&self) {
        if let Err(error) = &self.outcome {
            tracing::error!(
                channel = self.notification.destination(),
                reason = error.class.as_str(),
                attempts = self.attempts,
                %error,
                "an alert could not be delivered"
            );
        }
    }
}

/// One address and how to treat it.
pub(super) struct Lane {
    pub(super) notifier: Arc<dyn Notifier>,
    pub(super) time: TimeSource,
    pub(super) backoff: Backoff,
    pub(super) attempt_timeout: Duration,
    pub(super) incoming: mpsc::Receiver<Arc<Notification>>,
    pub(super) settled: mpsc::Sender<Settled>,
}

/// A notification under way.
struct Job {
    notification: Arc<Notification>,
    attempts: u32,
    maybe_received: bool,
    last: Option<NotifyError>,
}

impl Lane {
    /// Works until nothing more can come and nothing is left.
    pub(super) async fn run(mut self) {
        let mut queue = VecDeque::new();
        let mut failures = 0;
        let mut not_before = i64::MIN;
        loop {
            while let Ok(notification) = self.incoming.try_recv() {
                queue.push_back(Job::new(notification));
            }
            if queue.is_empty() {
                match self.incoming.recv().await {
                    Some(notification) => queue.push_back(Job::new(notification)),
                    None => return,
                }
                continue;
            }
            self.give_up_late(&mut queue, not_before).await;
            self.wait(&mut queue, not_before).await;
            if (self.time)() < not_before {
                continue;
            }
            let Some(mut job) = queue.pop_front() else {
                continue;
            };
            job.attempts += 1;
            let message = &job.notification.message;
            let answer = attempt(&*self.notifier, message, self.attempt_timeout).await;
            match answer {
                Err(error) if error.is_retryable => {
                    failures += 1;
                    let wait = self.backoff.wait(failures, random());
                    let wait = longest(wait, error.retry_after);
                    let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
                    not_before = (self.time)().saturating_add(wait_ms);
                    job.maybe_received |= error.maybe_received;
                    job.last = Some(error);
                    queue.push_back(job);
                }
                Err(mut error) => {
                    error.maybe_received |= job.maybe_received;
                    self.settle(job, Err(error)).await;
                }
                Ok(receipt) => {
                    (failures, not_before) = (0, i64::MIN);
                    self.settle(job, Ok(receipt)).await;
                }
            }
        }
    }

    /// Settles what has failed and cannot be tried again before its deadline. What has never been tried gets its
    /// one attempt, however late: the peer may have been down only for others.
    async fn give_up_late(&self, queue: &mut VecDeque<Job>, not_before: i64) {
        let next_attempt = (self.time)().max(not_before);
        let mut at = 0;
        while at < queue.len() {
            let job = &queue[at];
            let is_late = job.notification.deadline <= next_attempt;
            // A lane that is held back beyond the deadline gives up untried ones as well.
            let is_held = job.notification.deadline <= not_before;
            if !(is_late && (job.last.is_some() || is_held)) {
                at += 1;
            } else if let Some(job) = queue.remove(at) {
                let error = job.exhausted();
                self.settle(job, Err(error)).await;
            }
        }
    }

    /// Waits until the peer may be asked again, or another message comes: that one may have to be given up earlier.
    async fn wait(&mut self, queue: &mut VecDeque<Job>, not_before: i64) {
        let now = (self.time)();
        if queue.is_empty() || not_before <= now {
            return;
        }
        let ms = u64::try_from(not_before.saturating_sub(now)).unwrap_or(0);
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(ms)) => {}
            Some(notification) = self.incoming.recv() => queue.push_back(Job::new(notification)),
        }
    }

    async fn settle(&self, job: Job, outcome: Result<Receipt, NotifyError>) {
        let settled = Settled {
            notification: job.notification,
            attempts: job.attempts,
            outcome,
        };
        // Nobody listens only when the runner is gone: the notification is still in the outbox.
        let _ = self.settled.send(settled).await;
    }
}

impl Job {
    fn new(notification: Arc<Notification>) -> Self {
        Self {
            notification,
            attempts: 0,
            maybe_received: false,
            last: None,
        }
    }

    /// The time is up: the last failure says why.
    fn exhausted(&self) -> NotifyError {
        let attempts = self.attempts;
        let mut error = match &self.last {
            Some(last) => {
                let mut error = last.clone();
                error.text = format!("given up after {attempts} attempts: {}", last.text);
                error
            }
            None => NotifyError::new(
                FailureClass::DeadlineExceeded,
                "the channel did not take messages in time",
            ),
        };
        error.is_retryable = false;
        error.maybe_received = self.maybe_received;
        error
    }
}

/// The wait of one's own, or the longer one that a peer asks for.
pub(super) fn longest(own: Duration, asked: Option<Duration>) -> Duration {
    asked.unwrap_or_default().min(MAX_RETRY_AFTER).max(own)
}

/// From 0 to 1.
pub(super) fn random() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness the middle will do: only jitter depends on it.
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_can_ask_for_an_hour_at_most() {
        let wait =
            |asked: Option<u64>| longest(Duration::from_secs(5), asked.map(Duration::from_secs));
        assert_eq!(wait(None), Duration::from_secs(5));
        assert_eq!(wait(Some(1)), Duration::from_secs(5));
        assert_eq!(wait(Some(70)), Duration::from_secs(70));
        assert_eq!(wait(Some(u64::MAX)), Duration::from_hours(1));
    }
}
