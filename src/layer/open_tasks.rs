//! A table of all open spans with their age and the number of their exits, for the list of tasks.
//!
//! A span in a stream is entered for each token, so an exit only adds 1 to a counter. The counter of a span has a fixed place,
//! which follows from the span's id without a comparison. A span whose place belongs to another open span is not listed, and
//! neither of the two has a number of exits.
//!
//! The times are readings of the [coarse clock](crate::runtime::coarse_clock). The time of the last exit is the time at which
//! a [reading](OpenTasks::read) found another number of exits than the reading before.

use std::sync::{
    Mutex,
    atomic::{
        AtomicBool, AtomicU64, AtomicUsize,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use crate::runtime::lock;

/// Places of the table: 128 KiB of counters, and 384 KiB for reading.
const PLACES: usize = 16_384;

/// An open span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskReading {
    pub(crate) id: u64,
    pub(crate) opened_ms: u64,
    /// Number of exits; `None` if a span without a place had the same counter.
    pub(crate) exits: Option<u64>,
    /// Time at which the last exit was read; the time of the creation before the first exit.
    pub(crate) exited_ms: u64,
}

/// The table.
pub(super) struct OpenTasks {
    exits: Box<[AtomicU64; PLACES]>,
    spans: Box<[Span]>,
    seen: Mutex<Box<[Seen]>>,
    /// Number of open spans without a place.
    left_out: AtomicUsize,
}

struct Span {
    /// Id of the span; 0 in a free place.
    id: AtomicU64,
    opened_ms: AtomicU64,
    /// True if a span without a place has used the counter.
    is_shared: AtomicBool,
}

/// The last reading of a place.
#[derive(Clone, Copy, Default)]
struct Seen {
    id: u64,
    exits: u64,
    changed_ms: u64,
}

impl OpenTasks {
    pub(super) fn new() -> Self {
        // Built on the heap, because the stack may be too small.
        let exits: Box<[_]> = (0..PLACES).map(|_| AtomicU64::new(0)).collect();
        let span = |_| Span {
            id: AtomicU64::new(0),
            opened_ms: AtomicU64::new(0),
            is_shared: AtomicBool::new(false),
        };
        Self {
            exits: exits
                .try_into()
                .unwrap_or_else(|_| unreachable!("the iterator yields as many places")),
            spans: (0..PLACES).map(span).collect(),
            seen: Mutex::new(vec![Seen::default(); PLACES].into()),
            left_out: AtomicUsize::new(0),
        }
    }

    pub(super) fn open(&self, id: u64, now_ms: u64) {
        let Some(span) = self.spans.get(place(id)) else {
            return;
        };
        if span
            .id
            .compare_exchange(0, u64::MAX, Acquire, Relaxed)
            .is_err()
        {
            span.is_shared.store(true, Relaxed);
            self.left_out.fetch_add(1, Relaxed);
            return;
        }
        span.opened_ms.store(now_ms, Relaxed);
        span.is_shared.store(false, Relaxed);
        self.exits[place(id)].store(0, Relaxed);
        span.id.store(id, Release);
    }

    #[inline]
    pub(super) fn exit(&self, id: u64) {
        let exits = &self.exits[place(id)];
        // A span that two threads exit at once may count a single exit; the count is for people.
        exits.store(exits.load(Relaxed).wrapping_add(1), Relaxed);
    }

    pub(super) fn close(&self, id: u64) {
        let Some(span) = self.spans.get(place(id)) else {
            return;
        };
        if span.id.load(Relaxed) == id {
            return span.id.store(0, Release);
        }
        // Spans of the observatory's own threads were never counted.
        let _ = self
            .left_out
            .fetch_update(Relaxed, Relaxed, |count| count.checked_sub(1));
    }

    /// Dates the exits since the last reading.
    pub(super) fn date_exits(&self, now_ms: u64) {
        self.for_each(now_ms, drop);
    }

    /// Returns the open spans of the table, and the number of open spans without a place.
    pub(super) fn read(&self, now_ms: u64) -> (Vec<TaskReading>, usize) {
        let mut readings = Vec::new();
        self.for_each(now_ms, |reading| readings.push(reading));
        (readings, self.left_out.load(Relaxed))
    }

    fn for_each(&self, now_ms: u64, read: impl FnMut(TaskReading)) {
        let mut seen = lock(&self.seen);
        let places = self
            .spans
            .iter()
            .zip(self.exits.iter())
            .zip(seen.iter_mut());
        places
            .filter_map(|((span, exits), seen)| span.read(exits, seen, now_ms))
            .for_each(read);
    }
}

impl Span {
    fn read(&self, exits: &AtomicU64, seen: &mut Seen, now_ms: u64) -> Option<TaskReading> {
        let id = self.id.load(Acquire);
        if id == 0 || id == u64::MAX {
            return None;
        }
        let (exits, opened_ms) = (exits.load(Relaxed), self.opened_ms.load(Relaxed));
        if seen.id != id || seen.exits != exits {
            *seen = Seen {
                id,
                exits,
                changed_ms: if exits == 0 { opened_ms } else { now_ms },
            };
        }
        Some(TaskReading {
            id,
            opened_ms,
            exits: (!self.is_shared.load(Relaxed)).then_some(exits),
            exited_ms: seen.changed_ms,
        })
    }
}

/// Returns the place of a span: the low bits of its index within its thread's spans, and the low bits of that thread. The
/// registry packs the index into the lower 38 bits of an id, and the thread above.
#[inline]
fn place(id: u64) -> usize {
    (id ^ (id >> 29)) as usize % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_spans_are_listed_and_those_without_a_place_are_counted() {
        let tasks = OpenTasks::new();
        let ids = 1..=2 * PLACES as u64;
        ids.clone().for_each(|id| tasks.open(id, 3));
        let (listed, left_out) = tasks.read(9);
        assert_eq!((listed.len(), left_out), (PLACES, PLACES));
        assert!(listed.iter().all(|task| task.exits.is_none()));
        ids.for_each(|id| tasks.close(id));
        assert_eq!(tasks.read(9), (Vec::new(), 0));
        tasks.close(5);
        assert_eq!(tasks.read(9).1, 0);
    }

    #[test]
    fn exits_are_counted_and_dated_by_the_readings() {
        let tasks = OpenTasks::new();
        tasks.open(7, 3);
        let read = |now| {
            let (tasks, _) = tasks.read(now);
            (tasks[0].exits, tasks[0].exited_ms)
        };
        assert_eq!(read(10), (Some(0), 3));
        tasks.exit(7);
        tasks.exit(7);
        assert_eq!(read(20), (Some(2), 20));
        assert_eq!(read(30), (Some(2), 20));
        tasks.close(7);
        tasks.open(7, 40);
        assert_eq!(read(50), (Some(0), 40), "the next span in the place");
    }

    #[test]
    fn spans_of_the_registry_have_places_of_their_own() {
        use tracing_subscriber::prelude::*;
        let subscriber =
            tracing_subscriber::registry().with(tracing_subscriber::layer::Identity::new());
        tracing::subscriber::with_default(subscriber, || {
            let spans: Vec<_> = (0..512).map(|_| tracing::info_span!("open")).collect();
            let mut places: Vec<_> = spans
                .iter()
                .map(|span| place(span.id().unwrap().into_u64()))
                .collect();
            places.sort_unstable();
            places.dedup();
            assert_eq!(places.len(), 512);
        });
    }
}
