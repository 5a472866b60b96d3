//! Turns enters, exits and closes of spans into busy, idle and self time by operation and by path.
//!
//! A CPU profile does not show why an async request is slow: a waiting future uses no CPU. The journal measures the time
//! in which a span was entered (busy), the time in which it was open but not entered (idle), and the time in which it was
//! the innermost span of a thread (self).
//!
//! Memory is bounded: 4,096 open spans, 512 operations, 4,096 paths. Spans beyond the first limit are counted as
//! [unmeasured](JournalReport::unmeasured); operations and paths beyond the others are merged.

mod fields;
mod open_spans;
mod operations;
mod options;
mod paths;
mod quantiles;
mod report;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use self::tests::journal as measured;
mod thread_stack;

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use tracing::{
    Event, Level,
    span::{Attributes, Id, Record},
};

pub(crate) use self::report::PathTimes;
use self::{
    fields::{DetailReader, FailureReader},
    open_spans::{NOWHERE, OpenSpan, OpenSpans, add},
    operations::{Operations, SlowSpan},
    paths::{Paths, ROOT},
    thread_stack::ThreadStack,
};
pub use self::{
    options::JournalConfig,
    report::{JournalReport, OperationReport, SlowSpanReport, Times},
};
use crate::{
    observation::Labels,
    privacy::Redaction,
    runtime::{clock::Clock, own_thread, thread_label},
};

/// The unit of stored times, as a power of two of the clock's unit: with the number of enters, a time fits in a word.
const UNIT_BITS: u32 = 4;

/// Measures spans. The Layer calls its methods.
pub(crate) struct Journal {
    /// The number of this journal in the process.
    number: usize,
    clock: Clock,
    open: OpenSpans,
    operations: Operations,
    paths: Paths,
    unmeasured: AtomicU64,
}

impl Journal {
    pub(crate) fn new(clock: Clock, redaction: Arc<Redaction>) -> Self {
        static LAST: AtomicUsize = AtomicUsize::new(0);
        Self {
            number: LAST.fetch_add(1, Relaxed) + 1,
            clock,
            open: OpenSpans::new(),
            operations: Operations::new(redaction),
            paths: Paths::new(),
            unmeasured: AtomicU64::new(0),
        }
    }

    #[inline]
    fn now(&self) -> u64 {
        self.clock.raw() >> UNIT_BITS
    }

    fn nanoseconds(&self, units: u64) -> u64 {
        self.clock.between(0, units << UNIT_BITS).as_nanos() as u64
    }

    /// Measures a new span. `labels` returns the labels that the interpreter has read from the span.
    pub(crate) fn on_new_span(
        &self,
        attributes: &Attributes<'_>,
        id: &Id,
        labels: &dyn Fn() -> Option<Labels>,
    ) {
        if own_thread::is_marked() {
            return;
        }
        let mut reader = DetailReader::new(labels);
        attributes.record(&mut reader);
        let operation = self
            .operations
            .number(attributes.metadata(), reader.text.as_str());
        let parent = match attributes.parent() {
            Some(parent) => self.open.place(parent.into_u64()),
            None if attributes.is_contextual() => {
                ThreadStack::with(self.number, ThreadStack::place)
            }
            None => NOWHERE,
        };
        let parent_span = self.open.get(parent);
        let parent_path = parent_span.map_or(ROOT, |parent| parent.path.load(Relaxed));
        let path = self.paths.number(parent_path, operation);
        let Some((_, span)) = self.open.open(id.into_u64()) else {
            self.unmeasured.fetch_add(1, Relaxed);
            return;
        };
        let now = self.now();
        span.begin(now);
        let parent_busy = parent_span.map_or(0, |parent| parent.busy_until(now));
        span.parent_busy.store(parent_busy, Relaxed);
        span.operation.store(operation, Relaxed);
        span.path.store(path, Relaxed);
        span.parent.store(parent, Relaxed);
        span.parent_id.store(self.open.id(parent), Relaxed);
        span.has_failed.store(reader.has_failed, Relaxed);
    }

    pub(crate) fn on_record(&self, id: &Id, values: &Record<'_>) {
        let mut reader = FailureReader::default();
        values.record(&mut reader);
        if reader.has_failed {
            self.fail(self.open.place(id.into_u64()));
        }
    }

    /// Marks the current span as failed at an ERROR event.
    #[inline]
    pub(crate) fn on_event(&self, event: &Event<'_>) {
        if *event.metadata().level() == Level::ERROR {
            self.fail(ThreadStack::with(self.number, ThreadStack::place));
        }
    }

    fn fail(&self, place: u32) {
        if let Some(span) = self.open.get(place) {
            span.has_failed.store(true, Relaxed);
        }
    }

    #[inline]
    pub(crate) fn on_enter(&self, id: &Id) {
        let now = self.now();
        let id = id.into_u64();
        let place = self.open.place(id);
        let span = self.open.get(place);
        let label = ThreadStack::with(self.number, |stack| {
            // An unmeasured span has the label of the span around it.
            let label = span.map_or_else(|| stack.label(), OpenSpan::label);
            stack.enter(id, place, label, now);
            label
        });
        if let Some(span) = span {
            span.enter(now);
        }
        thread_label::set(label.into());
    }

    #[inline]
    pub(crate) fn on_exit(&self, id: &Id) {
        let now = self.now();
        let id = id.into_u64();
        let (exited, label) =
            ThreadStack::with(self.number, |stack| (stack.exit(id, now), stack.label()));
        let (place, own) = match exited {
            Some(exited) => (exited.place, exited.own),
            None => (self.open.place(id), 0),
        };
        if let Some(span) = self.open.get(place) {
            add(&span.own, own);
            span.exit(now);
            if std::thread::panicking() {
                span.has_failed.store(true, Relaxed);
            }
        }
        thread_label::set(label.into());
    }

    pub(crate) fn on_close(&self, id: &Id) {
        let place = self.open.place(id.into_u64());
        let Some(span) = self.open.get(place) else {
            return;
        };
        let now = self.now();
        let duration = now.saturating_sub(span.start.load(Relaxed));
        let idle = duration.saturating_sub(span.busy.load(Relaxed));
        let parent = span.parent.load(Relaxed);
        // The parent may have closed, and its place may belong to another span.
        if self.open.id(parent) == span.parent_id.load(Relaxed)
            && let Some(parent) = self.open.get(parent)
        {
            // A child may wait while its parent works; that is no waiting of the parent.
            let parent_busy = parent
                .busy_until(now)
                .saturating_sub(span.parent_busy.load(Relaxed));
            add(
                &parent.children_idle,
                idle.min(duration.saturating_sub(parent_busy)),
            );
        }
        let own_idle = idle.saturating_sub(span.children_idle.load(Relaxed));
        let own_ns = self.nanoseconds(span.own.load(Relaxed));
        let path = span.path.load(Relaxed);
        self.paths.record(path, own_ns, self.nanoseconds(own_idle));
        let closed = SlowSpan {
            duration_ns: self.nanoseconds(duration),
            busy_ns: self.nanoseconds(span.busy.load(Relaxed)),
            own_ns,
            path,
            has_failed: span.has_failed.load(Relaxed),
        };
        let operation = span.operation.load(Relaxed);
        span.close();
        if let Some(operation) = self.operations.get(operation) {
            operation.record(closed);
        }
    }

    /// Returns the name of the operation that a [label of a thread](thread_label) stands for.
    #[cfg(feature = "profiling")]
    pub(crate) fn operation_name(&self, label: u64) -> Option<String> {
        let number = u32::try_from(label.checked_sub(1)?).ok()?;
        Some(self.operations.get(number)?.label())
    }
}
