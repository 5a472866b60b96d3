//! Brings spans that ended to the exporters: in batches, within deadlines, and counted.
//!
//! ```text
//! application's threads    the thread `obs-traces`
//! span ends ─► queue ─────► redaction ─► tail sampling ─┬─► queue ─► worker ─► exporter
//!                                                       └─► queue ─► worker ─► exporter
//! ```
//!
//! The thread has a current-thread runtime of its own, so it needs none of the application's, cannot be blocked by it
//! and cannot deadlock with it at the end. One exporter that hangs leaves the others alone: only its own queue fills.

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

pub(crate) use self::delivery::{Complaint, say, unharmed};
pub(super) use self::intake::Intake;
use self::worker::Worker;
pub(super) use self::{
    delivery::{Receiver, deliver_all},
    queue::{Queue, Refused},
};
use super::{
    account::{Account, DropReason},
    conventions::Conventions,
    exporter::Exporter,
    failure::Failures,
    gate::NOT_KEPT,
    live::Live,
    numbers, redaction,
    tail::{Decided, TailSampler},
};
use crate::{
    privacy::Redaction,
    runtime::own_thread::{Restartable, ShutdownDeadline},
    traces::BatchConfig,
};

/// Attributes by which we tell ourselves something.
const MARKS: [&str; 2] = ["observatory.ended", NOT_KEPT];

/// Its name; Linux shows fifteen characters of it.
const NAME: &str = "obs-traces";

impl From<Refused> for DropReason {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full => Self::QueueFull,
            Refused::Closed => Self::Shutdown,
        }
    }
}

/// Spans on their way, and who counts what becomes of them.
pub(super) struct Stream {
    queue: Queue<SpanData>,
    /// Spans that ended, those included that there was no room for.
    taken: Arc<AtomicU64>,
    accounts: Vec<Arc<Account>>,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

/// The way from spans that ended to the exporters.
pub(super) struct Pipeline {
    pub(super) stream: Arc<Stream>,
    work: Restartable<Parts>,
}

/// What the thread works with.
struct Parts {
    workers: Vec<Worker>,
    filters: Filters,
    batch: BatchConfig,
    complaint: Complaint,
}

/// What spans pass before the exporters.
pub(super) struct Filters {
    pub(super) redaction: Arc<Redaction>,
    pub(super) failures: Failures,
    pub(super) conventions: Option<Conventions>,
    pub(super) live: Option<Arc<Live>>,
    pub(super) tail: Option<TailSampler>,
}

/// Of every exporter, with who counts what there is no room for.
type Queues = Vec<(Arc<Queue<Arc<SpanData>>>, Arc<Account>)>;

impl Pipeline {
    pub(super) fn new(
        exporters: Vec<(Exporter, Account)>,
        filters: Filters,
        batch: &BatchConfig,
    ) -> Self {
        let taken = Arc::default();
        let mut accounts = Vec::new();
        let mut workers = Vec::new();
        for (exporter, account) in exporters {
            let account = Arc::new(account.of(&taken));
            accounts.push(Arc::clone(&account));
            workers.push(Worker::new(exporter, account, batch));
        }
        // Names that are looked up cannot be given up: one exporter must not take the threads of all.
        let waiting = 4 * workers.len() + 2;
        let queue = Queue::of(batch);
        let parts = Parts {
            workers,
            filters,
            batch: batch.clone(),
            complaint: Complaint::default(),
        };
        Self {
            stream: Arc::new(Stream {
                queue,
                taken,
                accounts,
            }),
            work: Restartable::new(NAME, waiting, parts),
        }
    }

    /// Starts the thread, unless it runs.
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

    /// Sends what there is until `deadline`, without waiting for it.
    pub(super) fn announce_end(&self, deadline: Instant) {
        // First: who finds the queue closed asks until when there is time.
        self.work.announce_end(deadline);
        self.stream.queue.close();
    }

    /// Sends what there is until `deadline`; what is left then is dropped and counted.
    pub(super) fn stop(&self, deadline: Instant) {
        self.announce_end(deadline);
        self.work.stop(deadline);
        drop(self.stream.queue.take(usize::MAX));
        // Wherever they are: in a queue, in a batch under way, with a thread that does not come back.
        for account in &self.stream.accounts {
            account.left();
        }
    }
}

/// Until the stream is closed and everything has been sent, or the deadline has passed.
async fn run(stream: &Stream, parts: Parts, ends: ShutdownDeadline) -> Parts {
    let Parts {
        workers,
        mut filters,
        batch,
        mut complaint,
    } = parts;
    let queues: Queues = workers
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
    // Workers wait for full batches; here spans only pass through.
    let delay = batch.delay.min(std::time::Duration::from_millis(500));
    while let Some(spans) = stream.queue.next(batch.batch_size, delay).await {
        let spans = stream.filtered(spans, &mut filters, &mut complaint);
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
        // One that panicked has ended.
        workers.extend(task.await);
    }
    Parts {
        workers,
        filters,
        batch,
        complaint,
    }
}

impl Stream {
    /// The account of each exporter.
    pub(super) fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter().map(|account| &**account)
    }

    /// Those that go on.
    fn filtered(
        &self,
        mut spans: Vec<SpanData>,
        filters: &mut Filters,
        complaint: &mut Complaint,
    ) -> Vec<Arc<SpanData>> {
        let mut panics = 0;
        spans.retain_mut(|span| {
            // Whatever a span holds, the next one is sent.
            let redacted = catch_unwind(AssertUnwindSafe(|| {
                // Marks for ourselves; nobody else's business.
                span.attributes
                    .retain(|pair| !MARKS.contains(&pair.key.as_str()));
                numbers::restore(span);
                filters.failures.apply(span);
                if let Some(conventions) = &filters.conventions {
                    conventions.apply(span);
                }
                // Last: nothing is added behind it.
                redaction::apply(&filters.redaction, span);
            }));
            if redacted.is_err() {
                panics += 1;
                self.lost();
            }
            redacted.is_ok()
        });
        let spans: Vec<Arc<SpanData>> = spans.into_iter().map(Arc::new).collect();
        let now = Instant::now();
        if let Some(live) = &filters.live {
            // They are missed in the lists only.
            let added = catch_unwind(AssertUnwindSafe(|| live.add(&spans, now)));
            panics += usize::from(added.is_err());
        }
        let going_on = match &mut filters.tail {
            None => spans,
            Some(tail) => {
                let mut decided = Decided::default();
                // What it loses is counted at the end, with all that is left.
                let offered = catch_unwind(AssertUnwindSafe(|| {
                    for span in spans {
                        tail.offer(span, now, &mut decided);
                    }
                    tail.expire(now, &mut decided);
                }));
                panics += usize::from(offered.is_err());
                self.counted(decided)
            }
        };
        if panics > 0
            && let Some(panics) = complaint.about(panics, now)
        {
            say(|| {
                tracing::warn!(target: "llm_observatory", panics, "a step on the way of spans panicked; what it did not finish is withheld");
            });
        }
        going_on
    }

    /// Those that are kept; the others are counted.
    fn counted(&self, decided: Decided) -> Vec<Arc<SpanData>> {
        for account in &self.accounts {
            account.sampled_out(decided.sampled_out);
            account.dropped(DropReason::TailOverflow, decided.overflowed);
        }
        decided.kept
    }

    /// A span that could not be redacted is not sent to anybody.
    fn lost(&self) {
        for account in &self.accounts {
            account.failed(1);
        }
    }
}

/// Gives spans to every worker, no more at once than one of them takes.
async fn hand_out(spans: Vec<Arc<SpanData>>, queues: &Queues, batch_size: usize) {
    for piece in spans.chunks(batch_size) {
        for (queue, account) in queues {
            for span in piece {
                if let Err(refused) = queue.put(Arc::clone(span)) {
                    account.dropped(refused.into(), 1);
                }
            }
        }
        // Workers are on this thread, too.
        tokio::task::yield_now().await;
    }
}

/// Gives traces that tail sampling has kept to every worker: whole, as long as there is room for the first span. They
/// have waited in bounded memory, so each is no more than that holds.
async fn hand_out_traces(spans: Vec<Arc<SpanData>>, queues: &Queues) {
    for trace in
        spans.chunk_by(|one, next| one.span_context.trace_id() == next.span_context.trace_id())
    {
        for (queue, account) in queues {
            if let Err(refused) = queue.put_together(trace.iter().cloned()) {
                account.dropped(refused.into(), trace.len());
            }
        }
        tokio::task::yield_now().await;
    }
}

/// As [`hand_out`], at the end: nothing comes any more that would have to wait, so there is time to wait for room.
async fn hand_out_last(spans: Vec<Arc<SpanData>>, queues: &Queues, mut ends: ShutdownDeadline) {
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
    // Nobody to say until when: there is no time.
    let end = match ends.wait_for(Option::is_some).await {
        Ok(end) => *end,
        Err(_) => None,
    };
    let end = end.unwrap_or_else(Instant::now);
    // What there is no time for is counted with all that is left.
    tokio::select! {
        () = tokio::time::sleep_until(end.into()) => {}
        () = async { while feeding.join_next().await.is_some() {} } => {}
    }
}
