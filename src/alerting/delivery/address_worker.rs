//! Sends the notifications of one address: queue, attempts and backoff.
//!
//! A retryable failure delays the whole queue, because the next notification would reach the same remote service. The
//! failed notification moves to the end of the queue, so that a notification that the remote service cannot process
//! does not block the others.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::sync::mpsc;

use super::{address::Address, core::Assignment, handle::Shared};
use crate::{
    alerting::{FailureClass, NotifyError, Receipt, dispatch::Notification},
    net::Backoff,
    runtime::{random::random_unit, unix_ms::UnixMs},
};

/// The maximum delay that a remote service can request: a `Retry-After` of a year must not silence the channel that
/// long.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// A completed notification.
#[derive(Debug)]
pub(super) struct Completion {
    pub(super) notification: Arc<Notification>,
    pub(super) attempts: u32,
    pub(super) result: Result<Receipt, NotifyError>,
}

impl Completion {
    /// Logs a failure. Callers must not hold a lock: a subscriber may call back into the observatory.
    pub(super) fn log(&self) {
        if let Err(error) = &self.result {
            tracing::error!(
                channel = self.notification.address_name(),
                reason = error.class.as_str(),
                attempts = self.attempts,
                %error,
                "an alert could not be delivered"
            );
        }
    }
}

/// The worker of one address.
pub(super) struct AddressWorker {
    pub(super) address: Arc<Address>,
    pub(super) shared: Arc<Shared>,
    pub(super) backoff: Backoff,
    pub(super) attempt_timeout: Duration,
    pub(super) incoming: mpsc::Receiver<Assignment>,
    pub(super) completions: mpsc::Sender<Completion>,
}

/// A notification in the queue of a worker.
struct Queued {
    notification: Arc<Notification>,
    deadline: UnixMs,
    attempts: u32,
    maybe_received: bool,
    last_error: Option<NotifyError>,
}

impl AddressWorker {
    /// Sends notifications until `incoming` is closed and the queue is empty.
    pub(super) async fn run(mut self) {
        let mut queue = VecDeque::new();
        let mut failures = 0;
        let mut not_before = UnixMs::MIN;
        loop {
            while let Ok(assignment) = self.incoming.try_recv() {
                queue.push_back(Queued::new(assignment));
            }
            if queue.is_empty() {
                match self.incoming.recv().await {
                    Some(assignment) => queue.push_back(Queued::new(assignment)),
                    None => return,
                }
                continue;
            }
            self.expire(&mut queue, not_before).await;
            self.wait(&mut queue, not_before).await;
            if self.now() < not_before {
                continue;
            }
            let Some(mut queued) = queue.pop_front() else {
                continue;
            };
            queued.attempts += 1;
            let message = &queued.notification.message;
            let result = self.address.attempt(message, self.attempt_timeout).await;
            match result {
                Err(error) if error.is_retryable => {
                    failures += 1;
                    let delay = self.backoff.wait(failures, random_unit());
                    not_before = self.now() + retry_delay(delay, error.retry_after);
                    queued.maybe_received |= error.maybe_received;
                    queued.last_error = Some(error);
                    queue.push_back(queued);
                }
                Err(mut error) => {
                    error.maybe_received |= queued.maybe_received;
                    self.complete(queued, Err(error)).await;
                }
                Ok(receipt) => {
                    (failures, not_before) = (0, UnixMs::MIN);
                    self.complete(queued, Ok(receipt)).await;
                }
            }
        }
    }

    /// Fails notifications whose next attempt would be after their deadline. A notification without an attempt gets
    /// its first attempt even after the deadline, because the failures may concern other notifications only, unless the
    /// backoff of the address ends after the deadline.
    async fn expire(&self, queue: &mut VecDeque<Queued>, not_before: UnixMs) {
        let next_attempt = self.now().max(not_before);
        let mut at = 0;
        while at < queue.len() {
            let queued = &queue[at];
            let deadline = queued.deadline;
            let is_expired = deadline <= next_attempt;
            let is_delayed_past_deadline = deadline <= not_before;
            if !(is_expired && (queued.last_error.is_some() || is_delayed_past_deadline)) {
                at += 1;
            } else if let Some(queued) = queue.remove(at) {
                let error = queued.deadline_error();
                self.complete(queued, Err(error)).await;
            }
        }
    }

    /// Waits until `not_before` or the next incoming notification: a new notification may expire earlier.
    async fn wait(&mut self, queue: &mut VecDeque<Queued>, not_before: UnixMs) {
        let now = self.now();
        if queue.is_empty() || not_before <= now {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(not_before.saturating_since(now)) => {}
            Some(assignment) = self.incoming.recv() => queue.push_back(Queued::new(assignment)),
        }
    }

    async fn complete(&self, queued: Queued, result: Result<Receipt, NotifyError>) {
        let completion = Completion {
            notification: queued.notification,
            attempts: queued.attempts,
            result,
        };
        // The channel is closed only after the runner has ended; the notification then stays in the outbox.
        let _ = self.completions.send(completion).await;
    }

    /// Returns the time on the steady clock, to which `not_before` and the deadlines belong.
    fn now(&self) -> UnixMs {
        self.shared.steady_now()
    }
}

impl Queued {
    fn new(assignment: Assignment) -> Self {
        Self {
            notification: assignment.notification,
            deadline: assignment.deadline,
            attempts: 0,
            maybe_received: false,
            last_error: None,
        }
    }

    /// Returns the error of an expired notification, with the text of its last error.
    fn deadline_error(&self) -> NotifyError {
        let attempts = self.attempts;
        let mut error = match &self.last_error {
            Some(last) => {
                let mut error = last.clone();
                error.text = format!("given up after {attempts} attempts: {}", last.text);
                error
            }
            None => NotifyError::new(
                FailureClass::DeadlineExceeded,
                "the channel accepted no messages before the deadline",
            ),
        };
        error.is_retryable = false;
        error.maybe_received = self.maybe_received;
        error
    }
}

/// Returns the delay before the next attempt: the backoff, or the delay that the remote service requested if longer.
pub(super) fn retry_delay(backoff: Duration, requested: Option<Duration>) -> Duration {
    requested
        .unwrap_or_default()
        .min(MAX_RETRY_AFTER)
        .max(backoff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requested_delay_is_limited_to_an_hour() {
        let delay = |requested: Option<u64>| {
            retry_delay(Duration::from_secs(5), requested.map(Duration::from_secs))
        };
        assert_eq!(delay(None), Duration::from_secs(5));
        assert_eq!(delay(Some(1)), Duration::from_secs(5));
        assert_eq!(delay(Some(70)), Duration::from_secs(70));
        assert_eq!(delay(Some(u64::MAX)), Duration::from_hours(1));
    }
}
