//! Sends one exporter's spans, batch by batch, and counts what became of them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use opentelemetry_sdk::trace::SpanData;
use tokio::sync::watch;

use super::queue::Queue;
use crate::{
    config::{BatchConfig, shortest},
    traces::{
        account::{Account, DropReason},
        exporter::{ExportError, Exporter, retry},
    },
};

/// Time between two sentences about one exporter.
const QUIET: Duration = Duration::from_mins(1);

/// How long a receiver may ask to be left alone.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// One exporter, its queue, and its account.
pub(super) struct Worker {
    pub(super) queue: Arc<Queue<Arc<SpanData>>>,
    exporter: Exporter,
    pub(super) account: Arc<Account>,
    batch: BatchConfig,
    complaint: Complaint,
    /// Until then the receiver has asked to be left alone.
    not_before: Option<Instant>,
}

/// What was said about failures, and when.
#[derive(Default)]
pub(crate) struct Complaint {
    last: Option<Instant>,
    spans_since: usize,
}

impl Worker {
    pub(super) fn new(exporter: Exporter, account: Arc<Account>, batch: &BatchConfig) -> Self {
        Self {
            queue: Arc::new(Queue::new(batch.queue_size, batch.batch_size)),
            exporter,
            account,
            batch: batch.clone(),
            complaint: Complaint::default(),
            not_before: None,
        }
    }

    /// Until its queue is closed and empty.
    pub(super) async fn run(mut self, mut ends: watch::Receiver<Option<Instant>>) -> Self {
        let (most, delay) = (self.batch.batch_size, self.batch.delay);
        loop {
            if let Some(until) = self.not_before.take() {
                tokio::select! {
                    () = tokio::time::sleep_until(until.into()) => {}
                    () = ended(&mut ends) => {}
                }
            }
            let spans = tokio::select! {
                spans = self.queue.next(most, delay) => spans,
                // From now on nobody waits for a batch to fill.
                () = ended(&mut ends), if ends.borrow().is_none() => continue,
            };
            let Some(spans) = spans else { return self };
            if spans.is_empty() {
                continue;
            }
            if is_over(&ends) {
                self.account.dropped(DropReason::Shutdown, spans.len());
                continue;
            }
            self.send(spans, &mut ends).await;
        }
    }

    async fn send(
        &mut self,
        spans: Vec<Arc<SpanData>>,
        ends: &mut watch::Receiver<Option<Instant>>,
    ) {
        let count = spans.len();
        let spans: Vec<SpanData> = spans.into_iter().map(Arc::unwrap_or_clone).collect();
        let start = Instant::now();
        let timeout = shortest([self.batch.timeout, self.exporter.timeout()]);
        let mut sent = retry::Sent::default();
        tokio::select! {
            () = retry::send(&self.exporter, spans, start + timeout, &mut sent) => {}
            () = passed(ends) => sent.error = Some(ExportError::Timeout),
        }
        let failed = count.saturating_sub(sent.taken);
        self.account.sent(count, failed, start.elapsed());
        // OTLP: "the client MUST then throttle itself". What there is no room for meanwhile is dropped and counted.
        if let Some(ExportError::Later {
            after: Some(after), ..
        }) = &sent.error
        {
            self.not_before = Instant::now().checked_add((*after).min(LONGEST_PAUSE));
        }
        if failed > 0 {
            let (name, address) = (self.exporter.name(), self.exporter.address());
            if let Some(spans) = self.complaint.about(failed, Instant::now()) {
                match sent.error {
                    None => {
                        tracing::warn!(target: "llm_observatory", exporter = name, address, spans, "spans were refused by their receiver");
                    }
                    Some(error) => {
                        tracing::warn!(target: "llm_observatory", exporter = name, address, spans, %error, "spans could not be exported");
                    }
                }
            }
        }
    }
}

impl Complaint {
    /// The failures to be told now, one sentence a minute at most.
    pub(crate) fn about(&mut self, spans: usize, now: Instant) -> Option<usize> {
        self.spans_since += spans;
        if self.last.is_some_and(|last| now < last + QUIET) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.spans_since))
    }
}

pub(in crate::traces) fn is_over(ends: &watch::Receiver<Option<Instant>>) -> bool {
    ends.borrow()
        .is_some_and(|deadline| Instant::now() >= deadline)
}

/// Waits for the end to be announced.
pub(in crate::traces) async fn ended(ends: &mut watch::Receiver<Option<Instant>>) {
    // Nobody to announce it: the pipeline itself is gone, and its queue closed.
    if ends.wait_for(Option::is_some).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Waits for the announced deadline to pass.
pub(in crate::traces) async fn passed(ends: &mut watch::Receiver<Option<Instant>>) {
    ended(ends).await;
    let deadline = *ends.borrow();
    if let Some(deadline) = deadline {
        tokio::time::sleep_until(deadline.into()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_once_a_minute_and_none_is_left_out() {
        let mut complaint = Complaint::default();
        let start = Instant::now();
        assert_eq!(complaint.about(3, start), Some(3));
        assert_eq!(complaint.about(2, start + QUIET / 2), None);
        assert_eq!(complaint.about(5, start + QUIET), Some(7));
    }
}
