//! Sends the spans of one exporter, and counts the results.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use opentelemetry_sdk::trace::SpanData;

use super::{
    delivery::{Receiver, deliver_all},
    queue::Queue,
};
use crate::{
    runtime::own_thread::ShutdownDeadline,
    traces::{BatchConfig, shortest},
    traces::{
        account::{Account, DropReason},
        exporter::{
            ExportError, Exporter,
            deadline::Deadline,
            retry::{self, Sent},
        },
    },
};

/// An exporter with its queue and its counters.
pub(super) struct Worker {
    pub(super) queue: Arc<Queue<Arc<SpanData>>>,
    exporter: Exporter,
    pub(super) account: Arc<Account>,
    batch: BatchConfig,
}

impl Worker {
    pub(super) fn new(exporter: Exporter, account: Arc<Account>, batch: &BatchConfig) -> Self {
        Self {
            queue: Arc::new(Queue::of(batch)),
            exporter,
            account,
            batch: batch.clone(),
        }
    }

    /// Runs until the queue is closed and empty.
    pub(super) async fn run(self, ends: ShutdownDeadline) -> Self {
        deliver_all(&self.queue, &self.batch, &self, ends).await;
        self
    }
}

impl Receiver for Worker {
    type Item = Arc<SpanData>;

    fn timeout(&self) -> Duration {
        shortest([self.batch.timeout, self.exporter.export.timeout()])
    }

    async fn deliver(&self, spans: Vec<Arc<SpanData>>, deadline: &mut Deadline, sent: &mut Sent) {
        let spans = spans.into_iter().map(Arc::unwrap_or_clone).collect();
        retry::send(&*self.exporter.export, spans, deadline, sent).await;
    }

    fn sent(&self, count: usize, failed: usize, took: Duration, error: Option<&ExportError>) {
        self.account.sent(count, failed, took);
        if failed > 0 {
            let reason = error.map_or_else(
                || "refused by the receiver".to_owned(),
                ExportError::to_string,
            );
            self.account.failed_last(SystemTime::now(), reason);
        }
    }

    fn drop_at_shutdown(&self, count: usize) {
        self.account.dropped(DropReason::Shutdown, count);
    }

    fn warn(&self, spans: usize, error: Option<&ExportError>) {
        let (name, address) = (self.exporter.name, self.exporter.export.address());
        match error {
            None => {
                tracing::warn!(target: "llm_observatory", exporter = name, address, spans, "spans were refused by their receiver");
            }
            Some(error) => {
                tracing::warn!(target: "llm_observatory", exporter = name, address, spans, %error, "spans could not be exported");
            }
        }
    }
}
