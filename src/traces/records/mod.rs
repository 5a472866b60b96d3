//! Exports events as log records by OTLP.
//!
//! The application's threads copy the events; the thread `obs-logs` redacts and sends them, and its own events are not
//! exported. `opentelemetry-appender-tracing` is not used: its records cannot be redacted before their export, and it
//! takes ids from the OpenTelemetry context, which has no ids of unsampled traces.

mod layer;
mod record;

use std::{
    fmt, io,
    sync::Arc,
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::logs::v1::ExportLogsServiceRequest,
    common::v1::InstrumentationScope,
    logs::v1::{ResourceLogs, ScopeLogs},
    resource::v1::Resource as ProtoResource,
};
use opentelemetry_sdk::Resource;

pub(super) use self::layer::RecordLayer;
use self::record::{Record, text};
use super::{
    TracesError,
    exporter::{
        Encoded, ExportError, Transport,
        deadline::Deadline,
        retry::{Sent, deliver_parts},
        split_batch::Part,
    },
    pipeline::{Queue, Receiver, Refused, deliver_all},
};
use crate::{
    metrics::{
        Registry, catalog,
        registry::{Counter, Series},
    },
    privacy::Redaction,
    runtime::own_thread::Restartable,
    traces::{BatchConfig, LogsConfig, Signal, shortest},
};

/// The name of the thread; Linux shows fifteen characters.
const NAME: &str = "obs-logs";

/// The queue of records, and their counters. Each record is counted once: exported, dropped or failed.
pub(super) struct Records {
    queue: Queue<Record>,
    exported: Arc<Series<Counter>>,
    dropped: Arc<Series<Counter>>,
    failed: Arc<Series<Counter>>,
}

/// The export of events as log records.
pub(super) struct RecordExport {
    pub(super) records: Arc<Records>,
    pub(super) level: tracing::Level,
    work: Restartable<Sender>,
}

/// The state of the thread.
struct Sender {
    records: Arc<Records>,
    transport: Transport,
    redaction: Arc<Redaction>,
    resource: ProtoResource,
    batch: BatchConfig,
    timeout: Duration,
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").finish_non_exhaustive()
    }
}

impl RecordExport {
    pub(super) fn new(
        config: &LogsConfig,
        redaction: &Arc<Redaction>,
        resource: &Resource,
        registry: &Registry,
    ) -> Result<Self, TracesError> {
        let attributes = resource
            .iter()
            .map(|(key, value)| text(key.as_str(), value.to_string()));
        let result = |result| registry.counter(&catalog::LOG_RECORDS, &[("result", result)]);
        let batch = &config.batch;
        let records = Arc::new(Records {
            queue: Queue::of(batch),
            exported: result("exported"),
            dropped: result("dropped"),
            failed: result("failed"),
        });
        let sender = Sender {
            records: Arc::clone(&records),
            transport: Transport::new(&config.otlp, Signal::Logs)?,
            redaction: Arc::clone(redaction),
            resource: ProtoResource {
                attributes: attributes.collect(),
                ..ProtoResource::default()
            },
            batch: batch.clone(),
            timeout: shortest([batch.timeout, config.otlp.timeout]),
        };
        Ok(Self {
            records,
            level: config.level,
            work: Restartable::new(NAME, 1, sender),
        })
    }

    /// Starts the thread if it does not run.
    pub(super) fn start(&self) -> io::Result<()> {
        let opens = || self.records.queue.open();
        self.work
            .start(opens, |sender, end| async move {
                deliver_all(&sender.records.queue, &sender.batch, &sender, end).await;
                sender
            })
            .inspect_err(|_| self.records.queue.close())
    }

    /// Tells the thread to send the remaining records until `deadline`, and does not wait for it.
    pub(super) fn announce_end(&self, deadline: Instant) {
        self.work.announce_end(deadline);
        self.records.queue.close();
    }

    /// Sends the remaining records and waits until `deadline` at most. Records that are left are counted as dropped.
    pub(super) fn stop(&self, deadline: Instant) {
        self.announce_end(deadline);
        self.work.stop(deadline);
        let left = self.records.queue.take(usize::MAX).len();
        self.records.dropped.add(left as u64);
    }
}

impl Records {
    fn put(&self, record: Record) {
        if let Err(Refused::Full | Refused::Closed) = self.queue.put(record) {
            self.dropped.add(1);
        }
    }
}

impl Receiver for Sender {
    type Item = Record;

    fn timeout(&self) -> Duration {
        self.timeout
    }

    async fn deliver(&self, batch: Vec<Record>, deadline: &mut Deadline, sent: &mut Sent) {
        let parts = self.parts(batch);
        let attempt = |encoded: Encoded| async move { self.transport.send(&encoded).await };
        deliver_parts(parts, attempt, deadline, sent).await;
    }

    fn sent(&self, count: usize, failed: usize, _: Duration, _: Option<&ExportError>) {
        self.records.failed.add(failed as u64);
        self.records.exported.add((count - failed) as u64);
    }

    fn drop_at_shutdown(&self, count: usize) {
        self.records.dropped.add(count as u64);
    }

    fn warn(&self, records: usize, error: Option<&ExportError>) {
        let address = self.transport.address();
        match error {
            None => {
                tracing::warn!(target: "llm_observatory", records, %address, "log records were refused by their receiver");
            }
            Some(error) => {
                tracing::warn!(target: "llm_observatory", records, %address, %error, "log records could not be exported");
            }
        }
    }
}

impl Sender {
    fn parts(&self, batch: Vec<Record>) -> Vec<Part> {
        let records = batch.into_iter();
        let scope = ScopeLogs {
            scope: Some(InstrumentationScope {
                name: env!("CARGO_PKG_NAME").to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                ..InstrumentationScope::default()
            }),
            log_records: records
                .map(|record| record.redacted(&self.redaction))
                .collect(),
            ..ScopeLogs::default()
        };
        self.transport.parts(ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                resource: Some(self.resource.clone()),
                scope_logs: vec![scope],
                ..ResourceLogs::default()
            }],
        })
    }
}
