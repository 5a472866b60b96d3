//! Gives a queue's items to their receiver, batch by batch, until the queue is closed and empty.
//!
//! The same for spans and for log records: when a batch is sent, how long it may take, what is said about failures, and
//! that nothing which happens to one batch is the end of the next.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use super::queue::Queue;
use crate::{
    runtime::own_thread::ShutdownDeadline,
    traces::BatchConfig,
    traces::exporter::{ExportError, patience::Patience, retry::Sent},
};

/// Time between two sentences about one receiver.
const QUIET: Duration = Duration::from_mins(1);

/// Where batches go, and who counts what becomes of them.
pub(in crate::traces) trait Receiver {
    type Item;

    /// Time that a batch may take, with every retry.
    fn timeout(&self) -> Duration;

    /// Sends a batch, again where that helps, as long as there is time; says in `sent` what became of it so far.
    fn deliver(
        &self,
        batch: Vec<Self::Item>,
        patience: &mut Patience,
        sent: &mut Sent,
    ) -> impl Future<Output = ()> + Send;

    /// Counts a batch of which some failed, or all, for this reason if the receiver gave one.
    fn sent(&self, count: usize, failed: usize, took: Duration, error: Option<&ExportError>);

    /// Counts items that there was no time for.
    fn too_late(&self, count: usize);

    /// Says that so many were not taken, and why, unless the receiver gave no reason.
    fn complain(&self, failed: usize, error: Option<&ExportError>);
}

/// What was said about failures, and when.
#[derive(Default)]
pub(crate) struct Complaint {
    last: Option<Instant>,
    failed_since: usize,
}

/// Until the queue is closed and empty.
pub(in crate::traces) async fn deliver_all<R: Receiver>(
    queue: &Queue<R::Item>,
    batch: &BatchConfig,
    receiver: &R,
    end: ShutdownDeadline,
) {
    let mut complaint = Complaint::default();
    let mut patience = Patience::new(end);
    let mut not_before: Option<Instant> = None;
    // The receiver wants to be left alone for longer than there is time.
    let mut is_given_up = false;
    loop {
        if let Some(until) = not_before.take() {
            is_given_up = !patience.lasts_until(until).await;
        }
        let is_ending = patience.is_ending();
        let items = tokio::select! {
            items = queue.next(batch.batch_size, batch.delay) => items,
            // From now on nobody waits for a batch to fill.
            () = patience.announced(), if !is_ending => continue,
        };
        let Some(items) = items else { return };
        let count = items.len();
        if count == 0 {
            continue;
        }
        if is_given_up || patience.is_over() {
            receiver.too_late(count);
            continue;
        }
        let start = Instant::now();
        patience.begin(receiver.timeout());
        let mut sent = Sent::default();
        let delivered = unharmed(receiver.deliver(items, &mut patience, &mut sent)).await;
        let failed = count.saturating_sub(sent.taken);
        let error = delivered.err().or(sent.error);
        receiver.sent(count, failed, start.elapsed(), error.as_ref());
        // OTLP: "the client MUST then throttle itself". What there is no room for meanwhile is dropped and counted.
        let pause = error.as_ref().and_then(ExportError::pause);
        not_before = pause.and_then(|pause| Instant::now().checked_add(pause));
        if failed > 0
            && let Some(failed) = complaint.about(failed, Instant::now())
        {
            say(|| receiver.complain(failed, error.as_ref()));
        }
    }
}

/// Says something by the application's subscriber, whose layers may panic: that ends nothing of ours.
pub(crate) fn say(sentence: impl FnOnce()) {
    // The panic hook has told it.
    drop(catch_unwind(AssertUnwindSafe(sentence)));
}

/// A panic on the way of one batch is that batch's failure.
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

impl Complaint {
    /// The failures to be told now, one sentence a minute at most.
    pub(crate) fn about(&mut self, failed: usize, now: Instant) -> Option<usize> {
        self.failed_since += failed;
        if self.last.is_some_and(|last| now < last + QUIET) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.failed_since))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Does with each batch what its number says.
    #[derive(Default)]
    struct Scripted {
        said: Mutex<Vec<String>>,
    }

    impl Receiver for Scripted {
        type Item = u32;

        fn timeout(&self) -> Duration {
            Duration::from_secs(10)
        }

        async fn deliver(&self, batch: Vec<u32>, _: &mut Patience, sent: &mut Sent) {
            match batch[0] {
                0 => panic!("as told"),
                1 => {
                    sent.error = Some(ExportError::Later {
                        status: "429".to_owned(),
                        after: Some(Duration::from_mins(1)),
                    });
                }
                taken => sent.taken = taken as usize,
            }
        }

        fn sent(&self, count: usize, failed: usize, _: Duration, _: Option<&ExportError>) {
            let line = format!("{failed} of {count} failed");
            self.said.lock().unwrap().push(line);
        }

        fn too_late(&self, count: usize) {
            let line = format!("{count} too late");
            self.said.lock().unwrap().push(line);
        }

        fn complain(&self, failed: usize, error: Option<&ExportError>) {
            let line = format!("{failed}: {error:?}");
            self.said.lock().unwrap().push(line);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_happens_to_one_batch_is_not_the_end_of_the_next() {
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
            *receiver.said.lock().unwrap(),
            [
                "1 of 1 failed",
                "1: Some(Io(\"the exporter panicked\"))",
                "1 of 1 failed",
                "0 of 1 failed",
            ]
        );
    }

    #[test]
    fn failures_are_told_once_a_minute_and_none_is_left_out() {
        let mut complaint = Complaint::default();
        let start = Instant::now();
        assert_eq!(complaint.about(3, start), Some(3));
        assert_eq!(complaint.about(2, start + QUIET / 2), None);
        assert_eq!(complaint.about(5, start + QUIET), Some(7));
    }
}
