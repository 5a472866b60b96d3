//! The open spans of the journal, in a table by span id, without a lock or an allocation.
//!
//! A span whose two places are taken is not measured, and counted as such.

use std::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

/// Places of the table, 512 KiB.
const PLACES: usize = 4096;
/// The number of low bits of [`OpenSpan::entered`] that count the enters.
const COUNT_BITS: u32 = 8;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// The index of no place.
pub(super) const NOWHERE: u32 = u32::MAX;

/// An open span. The alignment gives each its own cache lines.
#[repr(align(128))]
#[derive(Default)]
pub(super) struct OpenSpan {
    /// Id of the span; 0 in a free place.
    id: AtomicU64,
    pub(super) operation: AtomicU32,
    pub(super) path: AtomicU32,
    pub(super) start: AtomicU64,
    /// The number of threads inside the span, and the time since which there is such a thread: one word, so that
    /// concurrent enters and exits leave both consistent.
    entered: AtomicU64,
    pub(super) busy: AtomicU64,
    /// Time in which the span was the innermost span of a thread.
    pub(super) own: AtomicU64,
    /// Idle time that the span spent waiting for its children.
    pub(super) children_idle: AtomicU64,
    pub(super) has_failed: AtomicBool,
    /// The place and the id of the parent.
    pub(super) parent: AtomicU32,
    pub(super) parent_id: AtomicU64,
    /// The busy time of the parent when this span was opened.
    pub(super) parent_busy: AtomicU64,
}

pub(super) struct OpenSpans(Box<[OpenSpan; PLACES]>);

impl OpenSpans {
    pub(super) fn new() -> Self {
        let spans: Box<[OpenSpan]> = std::iter::repeat_with(OpenSpan::default)
            .take(PLACES)
            .collect();
        Self(
            spans
                .try_into()
                .unwrap_or_else(|_| unreachable!("the slice has as many places")),
        )
    }

    /// Takes a place for a span; `None` if both places are taken.
    pub(super) fn open(&self, id: u64) -> Option<(u32, &OpenSpan)> {
        let first = first_place(id);
        [first, first ^ 1].into_iter().find_map(|place| {
            let span = &self.0[place];
            let taken = span.id.compare_exchange(0, id, Acquire, Relaxed);
            taken.is_ok().then_some((place as u32, span))
        })
    }

    /// Returns the place of a span, or [`NOWHERE`].
    #[inline]
    pub(super) fn place(&self, id: u64) -> u32 {
        let first = first_place(id);
        if self.0[first].id.load(Relaxed) == id {
            return first as u32;
        }
        let second = first ^ 1;
        if self.0[second].id.load(Relaxed) == id {
            second as u32
        } else {
            NOWHERE
        }
    }

    #[inline]
    pub(super) fn get(&self, place: u32) -> Option<&OpenSpan> {
        self.0.get(place as usize)
    }

    /// Returns the id of the span in a place.
    pub(super) fn id(&self, place: u32) -> u64 {
        self.get(place).map_or(0, |span| span.id.load(Relaxed))
    }
}

impl OpenSpan {
    /// Begins a span that was opened at `start`. The id is not read by others yet.
    pub(super) fn begin(&self, start: u64) {
        self.start.store(start, Relaxed);
        for number in [&self.entered, &self.busy, &self.own, &self.children_idle] {
            number.store(0, Relaxed);
        }
        self.has_failed.store(false, Relaxed);
    }

    /// Returns the label of a thread inside the span.
    #[inline]
    pub(super) fn label(&self) -> u32 {
        self.operation.load(Relaxed) + 1
    }

    /// Notes that a thread enters the span.
    #[inline]
    pub(super) fn enter(&self, now: u64) {
        let mut current = self.entered.load(Relaxed);
        loop {
            let next = match current & COUNT_MASK {
                0 => now << COUNT_BITS | 1,
                COUNT_MASK => return,
                _ => current + 1,
            };
            match self
                .entered
                .compare_exchange_weak(current, next, AcqRel, Relaxed)
            {
                Ok(_) => return,
                Err(changed) => current = changed,
            }
        }
    }

    /// Notes that a thread exits the span. The last thread adds the time to the busy time.
    #[inline]
    pub(super) fn exit(&self, now: u64) {
        let mut current = self.entered.load(Relaxed);
        loop {
            if current & COUNT_MASK == 0 {
                return;
            }
            match self
                .entered
                .compare_exchange_weak(current, current - 1, AcqRel, Relaxed)
            {
                Ok(_) => break,
                Err(changed) => current = changed,
            }
        }
        if current & COUNT_MASK == 1 {
            add(&self.busy, now.saturating_sub(current >> COUNT_BITS));
        }
    }

    /// Returns the busy time until `now`.
    pub(super) fn busy_until(&self, now: u64) -> u64 {
        let entered = self.entered.load(Relaxed);
        let current = match entered & COUNT_MASK {
            0 => 0,
            _ => now.saturating_sub(entered >> COUNT_BITS),
        };
        self.busy.load(Relaxed) + current
    }

    /// Frees the place.
    pub(super) fn close(&self) {
        self.id.store(0, Release);
    }
}

/// Adds to a number that several threads may change.
#[inline]
pub(super) fn add(number: &AtomicU64, more: u64) {
    number.fetch_add(more, Relaxed);
}

#[inline]
fn first_place(id: u64) -> usize {
    (id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_is_the_union_of_concurrent_enters() {
        let span = OpenSpan::default();
        span.enter(10);
        span.enter(12);
        span.exit(15);
        span.enter(16);
        span.exit(18);
        span.exit(20);
        span.enter(30);
        span.exit(35);
        assert_eq!(span.busy.load(Relaxed), 15);
        span.exit(40);
        assert_eq!(span.busy.load(Relaxed), 15, "an exit without an enter");
    }

    #[test]
    fn concurrent_enters_lose_no_time() {
        let span = OpenSpan::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        span.enter(1_000);
                        span.exit(1_001);
                    }
                });
            }
        });
        let busy = span.busy.load(Relaxed);
        assert_eq!(span.entered.load(Relaxed) & COUNT_MASK, 0);
        assert!((1..=40_000).contains(&busy), "{busy}");
    }

    #[test]
    fn a_span_is_found_until_it_closes() {
        let spans = OpenSpans::new();
        let (place, span) = spans.open(77).unwrap();
        assert_eq!(spans.place(77), place);
        span.close();
        assert_eq!(spans.place(77), NOWHERE);
        assert!(spans.get(NOWHERE).is_none());
    }
}
