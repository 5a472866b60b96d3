//! Exports events as log records by OTLP.
//!
//! Not by `opentelemetry-appender-tracing`: its records cannot be changed on their way, so nothing could be redacted,
//! and it takes its ids from OpenTelemetry's context, where those of unsampled traces are not. Events are copied on the
//! application's threads, and redacted and sent by the thread `obs-logs`, which no event of its own reaches.

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
    exporter::{Encoded, Signal, Transport, retry::deliver},
    pipeline::{Queue, Quiet, Refused, ended, is_over},
};
use crate::{
    config::{BatchConfig, LogsConfig, shortest},
    metrics::{
        Registry, catalog,
        registry::{Counter, Series},
    },
    own_thread::{End, Restartable},
    redaction::Redaction,
};

/// Its name; Linux shows fifteen characters of it.
const NAME: &str = "obs-logs";

/// Records on their way, and who counts what becomes of them: exported, dropped or failed, each once.
pub(super) struct Records {
    queue: Queue<Record>,
    exported: Arc<Series<Counter>>,
    dropped: Arc<Series<Counter>>,
    failed: Arc<Series<Counter>>,
}

/// The way from events to the receiver.
pub(super) struct RecordExport {
    pub(super) records: Arc<Records>,
    pub(super) level: tracing::Level,
    work: Restartable<Sender>,
}

/// What the thread works with.
struct Sender {
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
        let sender = Sender {
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
            records: Arc::new(Records {
                queue: Queue::new(batch.queue_size, batch.batch_size),
                exported: result("exported"),
                dropped: result("dropped"),
                failed: result("failed"),
            }),
            level: config.level,
            work: Restartable::new(NAME, 1, sender),
        })
    }

    /// Starts the thread, unless it runs.
    pub(super) fn start(&self) -> io::Result<()> {
        let records = Arc::clone(&self.records);
        let opens = || self.records.queue.open();
        self.work
            .start(opens, |sender, end| async move {
                run(&records, &sender, end).await;
                sender
            })
            .inspect_err(|_| self.records.queue.close())
    }

    /// Sends what there is until `deadline`, without waiting for it: [`RecordExport::stop`] does.
    pub(super) fn announce_end(&self, deadline: Instant) {
        self.records.queue.close();
        self.work.announce_end(deadline);
    }

    /// Waits until what there is has been sent; what is left at `deadline` is dropped and counted.
    pub(super) fn stop(&self, deadline: Instant) {
        self.records.queue.close();
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

async fn run(records: &Records, sender: &Sender, mut ends: End) {
    let (most, delay) = (sender.batch.batch_size, sender.batch.delay);
    let mut quiet = Quiet::default();
    loop {
        let batch = tokio::select! {
            batch = records.queue.next(most, delay) => batch,
            // From now on nobody waits for a batch to fill.
            () = ended(&mut ends), if ends.borrow().is_none() => continue,
        };
        let Some(batch) = batch else { return };
        let count = batch.len();
        if count == 0 {
            continue;
        }
        if is_over(&ends) {
            records.dropped.add(count as u64);
            continue;
        }
        let end = *ends.borrow();
        let deadline = Instant::now() + sender.timeout;
        let deadline = end.map_or(deadline, |end| end.min(deadline));
        let encoded = sender.encode(batch);
        let sent = deliver(|| sender.transport.send(&encoded), deadline);
        // An end that is announced meanwhile cuts it short.
        let sent = tokio::select! {
            sent = sent => sent,
            () = super::pipeline::passed(&mut ends) => Err(super::ExportError::Timeout),
        };
        let failed = match &sent {
            Ok(refused) => (*refused).min(count),
            Err(_) => count,
        };
        records.failed.add(failed as u64);
        records.exported.add((count - failed) as u64);
        if let Err(error) = sent
            && let Some(records) = quiet.about(count, Instant::now())
        {
            tracing::warn!(target: "llm_observatory", records, address = %sender.transport.address(), %error, "log records could not be exported");
        }
    }
}

impl Sender {
    fn encode(&self, batch: Vec<Record>) -> Encoded {
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
        self.transport.encode(&ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                resource: Some(self.resource.clone()),
                scope_logs: vec![scope],
                ..ResourceLogs::default()
            }],
        })
    }
}
