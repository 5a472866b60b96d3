//! Sends the items of a queue to a receiver in batches, until the queue is closed and empty.
//!
//! Spans and log records share the rules: the time of a batch, its timeout, and the warnings about failures. The failure
//! of a batch, a panic included, does not affect the next batch.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use super::queue::Queue;
use crate::{
    runtime::{own_thread::ShutdownDeadline, report_once::ReportOnce},
    traces::BatchConfig,
    traces::exporter::{ExportError, deadline::Deadline, retry::Sent},
};

/// The minimum time between two warnings about a receiver.
pub(crate) const MIN_WARNING_INTERVAL: Duration = Duration::from_mins(1);

/// The receiver of batches, which counts the results.
pub(in crate::traces) trait Receiver {
    type Item;

    /// The time limit of a batch, retries included.
    fn timeout(&self) -> Duration;

    /// Sends a batch, with retries until the time limit. Updates `sent` after each attempt.
    fn deliver(
        &self,
        batch: Vec<Self::Item>,
        deadline: &mut Deadline,
        sent: &mut Sent,
    ) -> impl Future<Output = ()> + Send;

    /// Counts a batch, of which `failed` items were refused or not sent. `error` is the reason, if the receiver gave one.
    fn sent(&self, count: usize, failed: usize, took: Duration, error: Option<&ExportError>);

    /// Counts items that were not sent before the deadline of the shutdown.
    fn drop_at_shutdown(&self, count: usize);

    /// Warns that `failed` items were not accepted.
    fn warn(&self, failed: usize, error: Option<&ExportError>);
}

/// Sends batches until the queue is closed and empty.
pub(in crate::traces) async fn deliver_all<R: Receiver>(
    queue: &Queue<R::Item>,
    batch: &BatchConfig,
    receiver: &R,
    end: ShutdownDeadline,
) {
    let mut warnings = ReportOnce::new(MIN_WARNING_INTERVAL);
    let mut deadline = Deadline::new(end);
    let mut not_before: Option<Instant> = None;
    // The receiver asked for a pause beyond the deadline of the shutdown.
    let mut is_given_up = false;
    loop {
        if let Some(until) = not_before.take() {
            is_given_up = !deadline.lasts_until(until).await;
        }
        let is_ending = deadline.is_shutting_down();
        let items = tokio::select! {
            items = queue.next(batch.batch_size, batch.delay) => items,
            // After the shutdown signal, batches are not filled any more.
            () = deadline.signalled(), if !is_ending => continue,
        };
        let Some(items) = items else { return };
        let count = items.len();
        if count == 0 {
            continue;
        }
        if is_given_up || deadline.has_passed() {
            receiver.drop_at_shutdown(count);
            continue;
        }
        let start = Instant::now();
        deadline.begin(receiver.timeout());
        let mut sent = Sent::default();
        let delivered = unharmed(receiver.deliver(items, &mut deadline, &mut sent)).await;
        let failed = count.saturating_sub(sent.accepted);
        let error = delivered.err().or(sent.error);
        let end = Instant::now();
        receiver.sent(count, failed, end - start, error.as_ref());
        // OTLP: "the client MUST then throttle itself". Items beyond the capacity of the queue are dropped and counted.
        let pause = error.as_ref().and_then(ExportError::pause);
        not_before = pause.and_then(|pause| end.checked_add(pause));
        if failed > 0
            && let Some(failed) = warnings.count_due((), "", failed, end)
        {
            say(|| receiver.warn(failed, error.as_ref()));
        }
    }
}

/// Emits a log line through the application's subscriber, and catches a panic of its layers.
pub(crate) fn say(sentence: impl FnOnce()) {
    // The panic hook has reported the panic.
    drop(catch_unwind(AssertUnwindSafe(sentence)));
}

/// Runs the sending of a batch, and turns a panic into an error of that batch.
pub(crate) async fn unharmed<T>(sending: impl Future<Output = T>) -> Result<T, ExportError> {
    let mut sending = pin!(sending);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| sending.as_mut().poll(context)));
        match polled {
            Ok(polled) => polled.map(Ok),
            Err(_) => Poll::Ready(Err(ExportError::Io("the exporter panicked".to_owned()))),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Fails or accepts each batch as its number says.
    #[derive(Default)]
    struct Scripted {
        lines: Mutex<Vec<String>>,
    }

    impl Receiver for Scripted {
        type Item = u32;

        fn timeout(&self) -> Duration {
            Duration::from_secs(10)
        }

        async fn deliver(&self, batch: Vec<u32>, _: &mut Deadline, sent: &mut Sent) {
            match batch[0] {
                0 => panic!("as told"),
                1 => {
                    sent.error = Some(ExportError::Retryable {
                        status: "429".to_owned(),
                        after: Some(Duration::from_mins(1)),
                    });
                }
                taken => sent.accepted = taken as usize,
            }
        }

        fn sent(&self, count: usize, failed: usize, _: Duration, _: Option<&ExportError>) {
            let line = format!("{failed} of {count} failed");
            self.lines.lock().unwrap().push(line);
        }

        fn drop_at_shutdown(&self, count: usize) {
            let line = format!("{count} too late");
            self.lines.lock().unwrap().push(line);
        }

        fn warn(&self, failed: usize, error: Option<&ExportError>) {
            let line = format!("{failed}: {error:?}");
            self.lines.lock().unwrap().push(line);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_batch_does_not_affect_the_next() {
        let queue = Queue::new(8, 1);
        for item in [0, 1, 7] {
            queue.put(item).unwrap();
        }
        queue.close();
        let batch = BatchConfig {
            batch_size: 1,
            ..BatchConfig::default()
        };
        let receiver = Scripted::default();
        let (_end, ends) = tokio::sync::watch::channel(None);
        let start = tokio::time::Instant::now();
        deliver_all(&queue, &batch, &receiver, ends).await;
        assert!(
            start.elapsed() >= Duration::from_secs(59),
            "it was throttled"
        );
        assert_eq!(
            *receiver.lines.lock().unwrap(),
            [
                "1 of 1 failed",
                "1: Some(Io(\"the exporter panicked\"))",
                "1 of 1 failed",
                "0 of 1 failed",
            ]
        );
    }
}
