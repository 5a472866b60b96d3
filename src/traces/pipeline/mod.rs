//! Sends ended spans to the exporters in batches, within deadlines, and counts them.
//!
//! ```text
//! application's threads    the thread `obs-traces`
//! span ends ─► queue ─────► redaction ─► tail sampling ─┬─► queue ─► worker ─► exporter
//!                                                       └─► queue ─► worker ─► exporter
//! ```
//!
//! The thread has a current-thread runtime of its own, so it needs no runtime of the application, is not blocked by one,
//! and cannot deadlock with one at the shutdown. An exporter that hangs does not affect other exporters: only its own
//! queue fills.

mod delivery;
mod intake;
mod queue;
mod worker;

use std::{
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::AtomicU64},
    time::Instant,
};

use opentelemetry_sdk::trace::SpanData;
use tokio::task::JoinSet;

pub(crate) use self::delivery::{MIN_WARNING_INTERVAL, say, unharmed};
pub(super) use self::intake::{Activity, Ending, Intake};
pub(super) use self::{
    delivery::{Receiver, deliver_all},
    queue::{Queue, Refused},
};
use self::{intake::EndedSpan, worker::Worker};
use super::{
    account::{Account, DropReason},
    conventions::Conventions,
    exporter::Exporter,
    failure::Failures,
    live::Live,
    numbers,
    redaction::SpanRedaction,
    tail::{Decided, TailSampler},
};
use crate::{
    runtime::{
        own_thread::{Restartable, ShutdownDeadline},
        report_once::ReportOnce,
    },
    traces::BatchConfig,
};

/// The attribute that ends a span early; the gate has read it.
const ENDED: &str = "observatory.ended";

/// The name of the thread; Linux shows fifteen characters.
const NAME: &str = "obs-traces";

impl From<Refused> for DropReason {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full => Self::QueueFull,
            Refused::Closed => Self::Shutdown,
        }
    }
}

/// The queue of ended spans, and the accounts of all exporters.
pub(super) struct Stream {
    queue: Queue<EndedSpan>,
    /// The number of ended spans, dropped spans included.
    accepted: Arc<AtomicU64>,
    accounts: Vec<Arc<Account>>,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

/// The pipeline from ended spans to the exporters.
pub(super) struct Pipeline {
    pub(super) stream: Arc<Stream>,
    work: Restartable<Parts>,
}

/// The state of the thread.
struct Parts {
    workers: Vec<Worker>,
    filters: Filters,
    batch: BatchConfig,
    warnings: ReportOnce<(), Instant>,
}

/// The steps between the queue and the exporters.
pub(super) struct Filters {
    pub(super) redaction: SpanRedaction,
    pub(super) failures: Failures,
    pub(super) conventions: Option<Conventions>,
    pub(super) live: Option<Arc<Live>>,
    pub(super) tail: Option<TailSampler>,
    /// The limit of attributes of a span.
    pub(super) max_attributes: usize,
}

/// The queue of each exporter, and the account for spans that it refuses.
type ExporterQueue = (Arc<Queue<Arc<SpanData>>>, Arc<Account>);

impl Pipeline {
    pub(super) fn new(
        exporters: Vec<(Exporter, Account)>,
        filters: Filters,
        batch: &BatchConfig,
    ) -> Self {
        let accepted = Arc::default();
        let mut accounts = Vec::new();
        let mut workers = Vec::new();
        for (exporter, account) in exporters {
            let account = Arc::new(account.of(&accepted));
            accounts.push(Arc::clone(&account));
            workers.push(Worker::new(exporter, account, batch));
        }
        // Name resolution cannot be cancelled: a hanging exporter must not occupy the blocking threads of all.
        let waiting = 4 * workers.len() + 2;
        let queue = Queue::of(batch);
        let parts = Parts {
            workers,
            filters,
            batch: batch.clone(),
            warnings: ReportOnce::new(MIN_WARNING_INTERVAL),
        };
        Self {
            stream: Arc::new(Stream {
                queue,
                accepted,
                accounts,
            }),
            work: Restartable::new(NAME, waiting, parts),
        }
    }

    /// Starts the thread if it does not run.
    pub(super) fn start(&self) -> io::Result<()> {
        let stream = Arc::clone(&self.stream);
        let opens = || self.stream.queue.open();
        self.work
            .start(
                opens,
                |parts, end| async move { run(&stream, parts, end).await },
            )
            .inspect_err(|_| self.stream.queue.close())
    }

    /// Tells the thread to send the remaining spans until `deadline`, and does not wait for it.
    pub(super) fn announce_end(&self, deadline: Instant) {
        // First: a worker that finds its queue closed reads the deadline.
        self.work.announce_end(deadline);
        self.stream.queue.close();
    }

    /// Sends the remaining spans and waits until `deadline` at most. Spans that are left are counted as dropped.
    pub(super) fn stop(&self, deadline: Instant) {
        self.announce_end(deadline);
        self.work.stop(deadline);
        drop(self.stream.queue.take(usize::MAX));
        // Spans in a queue, in a batch that is being sent, and in a thread that does not return.
        for account in &self.stream.accounts {
            account.drop_rest();
        }
    }
}

/// Runs until the stream is closed and all spans are sent, or the deadline has passed.
async fn run(stream: &Stream, parts: Parts, ends: ShutdownDeadline) -> Parts {
    let Parts {
        workers,
        mut filters,
        batch,
        mut warnings,
    } = parts;
    let queues: Vec<ExporterQueue> = workers
        .iter()
        .map(|worker| (Arc::clone(&worker.queue), Arc::clone(&worker.account)))
        .collect();
    for (queue, _) in &queues {
        queue.open();
    }
    let tasks: Vec<_> = workers
        .into_iter()
        .map(|worker| tokio::spawn(worker.run(ends.clone())))
        .collect();
    // The workers wait for full batches, so this loop need not.
    let delay = batch.delay.min(std::time::Duration::from_millis(500));
    while let Some(spans) = stream.queue.next(batch.batch_size, delay).await {
        let spans = stream.filtered(spans, &mut filters, &mut warnings);
        match filters.tail {
            Some(_) => hand_out_traces(spans, &queues).await,
            None => hand_out(spans, &queues, batch.batch_size).await,
        }
    }
    if let Some(tail) = &mut filters.tail {
        let mut decided = Decided::default();
        tail.finish(&mut decided);
        hand_out_last(stream.counted(decided), &queues, ends).await;
    }
    for (queue, _) in &queues {
        queue.close();
    }
    let mut workers = Vec::new();
    for task in tasks {
        // A worker that panicked is not restarted.
        workers.extend(task.await);
    }
    Parts {
        workers,
        filters,
        batch,
        warnings,
    }
}

impl Stream {
    /// The account of each exporter.
    pub(super) fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter().map(|account| &**account)
    }

    /// Applies the filters, and returns the spans for the exporters.
    fn filtered(
        &self,
        spans: Vec<EndedSpan>,
        filters: &mut Filters,
        warnings: &mut ReportOnce<(), Instant>,
    ) -> Vec<Arc<SpanData>> {
        let mut panics = 0;
        let mut spans: Vec<_> = spans
            .into_iter()
            .map(|span| span.into_data(filters.max_attributes))
            .collect();
        spans.retain_mut(|span| {
            // A panic on a span does not affect the next span.
            let redacted = catch_unwind(AssertUnwindSafe(|| {
                span.attributes.retain(|pair| pair.key.as_str() != ENDED);
                numbers::restore(span);
                filters.failures.apply(span);
                if let Some(conventions) = &filters.conventions {
                    conventions.apply(span);
                }
                // Last: no text is added after redaction.
                filters.redaction.apply(span);
            }));
            if redacted.is_err() {
                panics += 1;
                self.lost();
            }
            redacted.is_ok()
        });
        let now = Instant::now();
        if let Some(live) = &filters.live {
            // After a panic, the spans are missing in the live traces only.
            let added = catch_unwind(AssertUnwindSafe(|| live.add(&spans, now)));
            panics += usize::from(added.is_err());
        }
        let going_on = match &mut filters.tail {
            _ if self.accounts.is_empty() => Vec::new(),
            None => spans.into_iter().map(Arc::new).collect(),
            Some(tail) => {
                let mut decided = Decided::default();
                // Spans that a panic loses are counted as dropped at the shutdown.
                let offered = catch_unwind(AssertUnwindSafe(|| {
                    for span in spans {
                        tail.offer(Arc::new(span), now, &mut decided);
                    }
                    tail.expire(now, &mut decided);
                }));
                panics += usize::from(offered.is_err());
                self.counted(decided)
            }
        };
        if panics > 0
            && let Some(panics) = warnings.count_due((), "", panics, now)
        {
            say(|| {
                tracing::warn!(target: "llm_observatory", panics, "a step on the way of spans panicked; what it did not finish is withheld");
            });
        }
        going_on
    }

    /// Counts the other spans, and returns the kept spans.
    fn counted(&self, decided: Decided) -> Vec<Arc<SpanData>> {
        for account in &self.accounts {
            account.sampled_out(decided.sampled_out);
            account.dropped(DropReason::TailOverflow, decided.overflowed);
        }
        decided.kept
    }

    /// Counts a span that could not be redacted, and is not exported, as failed.
    fn lost(&self) {
        for account in &self.accounts {
            account.failed(1);
        }
    }
}

/// Gives spans to every worker, in pieces of one batch.
async fn hand_out(spans: Vec<Arc<SpanData>>, queues: &[ExporterQueue], batch_size: usize) {
    let Some((last, others)) = queues.split_last() else {
        return;
    };
    let put = |(queue, account): &ExporterQueue, span| {
        if let Err(refused) = queue.put(span) {
            account.dropped(refused.into(), 1);
        }
    };
    let mut spans = spans.into_iter();
    while spans.len() > 0 {
        for span in spans.by_ref().take(batch_size) {
            for other in others {
                put(other, Arc::clone(&span));
            }
            // A worker copies a span that another place holds, too.
            put(last, span);
        }
        // The workers run on this thread, too.
        tokio::task::yield_now().await;
    }
}

/// Gives traces that the tail sampler has kept to every worker. A trace stays whole if there is room for its first span;
/// its size is bounded by the memory of the tail sampler.
async fn hand_out_traces(spans: Vec<Arc<SpanData>>, queues: &[ExporterQueue]) {
    let Some((last, others)) = queues.split_last() else {
        return;
    };
    let put = |(queue, account): &ExporterQueue, trace: Vec<Arc<SpanData>>| {
        let count = trace.len();
        if let Err(refused) = queue.put_together(trace) {
            account.dropped(refused.into(), count);
        }
    };
    let mut spans = spans.into_iter().peekable();
    while let Some(first) = spans.next() {
        let id = first.span_context.trace_id();
        let mut trace = vec![first];
        while let Some(span) = spans.next_if(|span| span.span_context.trace_id() == id) {
            trace.push(span);
        }
        for other in others {
            put(other, trace.clone());
        }
        put(last, trace);
        tokio::task::yield_now().await;
    }
}

/// As [`hand_out`], at the shutdown: no more spans come, so the function waits for room in the queues.
async fn hand_out_last(
    spans: Vec<Arc<SpanData>>,
    queues: &[ExporterQueue],
    mut ends: ShutdownDeadline,
) {
    let spans: Arc<[_]> = spans.into();
    let mut feeding = JoinSet::new();
    for (queue, _) in queues {
        let (queue, spans) = (Arc::clone(queue), Arc::clone(&spans));
        feeding.spawn(async move {
            for span in &*spans {
                queue.has_room().await;
                if queue.put(Arc::clone(span)).is_err() {
                    return;
                }
            }
        });
    }
    // Without a deadline, there is no time left.
    let end = match ends.wait_for(Option::is_some).await {
        Ok(end) => *end,
        Err(_) => None,
    };
    let Some(end) = end else { return };
    // Spans that are left are counted as dropped by `stop`.
    tokio::select! {
        () = tokio::time::sleep_until(end.into()) => {}
        () = async { while feeding.join_next().await.is_some() {} } => {}
    }
}
