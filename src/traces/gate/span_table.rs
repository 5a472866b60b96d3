//! Holds the spans that tracing-opentelemetry's layer has seen, with the decision on each, its ids and its start.
//!
//! The gate reads the table at every callback, so reads take no lock unless the table overflows. Span extensions could
//! hold the same data, at the price of a lock, an allocation and a lookup for each span of a sampled trace.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard,
        atomic::{
            AtomicBool, AtomicU64, AtomicUsize,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
};

use crate::runtime::lock;

use opentelemetry::trace::SpanContext;

/// 64 KiB of ids. More than 8,192 sampled spans are open at once only where most traces are sampled.
const SLOTS: usize = 8192;
/// Slots that an id may occupy: half a cache line.
const WAYS: usize = 4;

/// The decision of the gate on a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Sampled,
    Unsampled,
    /// The span is not started: a parent may still be set. Without a parent, the draw of the head sampler counts.
    Deferred {
        is_drawn: bool,
    },
}

/// The way in which a span of the table is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// By OpenTelemetry's layer. The ids are to be set if the span is sampled and has none.
    OfLayer { lacks_ids: bool },
    /// By the gate; `attaches` is whether each enter makes the context of the span current.
    Own { ids: SampledIds, attaches: bool },
}

/// The ids of a sampled span, which logs, exemplars and live traces name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SampledIds {
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
}

impl SampledIds {
    /// `None` for an unsampled span.
    pub(super) fn of(span: &SpanContext) -> Option<Self> {
        span.is_sampled().then(|| Self {
            trace_id: u128::from_be_bytes(span.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(span.span_id().to_bytes()),
        })
    }
}

/// A sampled span that is open.
pub(super) struct OpenEntry {
    pub(super) id: u64,
    /// A reading of the clock; 0 in a table without start times.
    pub(super) started: u64,
    pub(super) ids: Option<SampledIds>,
}

/// A set of span ids with an entry for each. An id has one owner at a time, so it occupies at most one slot.
pub(in crate::traces) struct SpanTable {
    ids: Box<[[AtomicU64; WAYS]]>,
    /// One entry for each slot of `ids`.
    entries: Box<[[Entry; WAYS]]>,
    /// At a low sampling ratio the counts are mostly 0, and a callback returns early.
    open: AtomicUsize,
    deferred: AtomicUsize,
    overflowed: AtomicUsize,
    /// Ids that found all their slots occupied.
    overflow: Mutex<HashMap<u64, Entry>>,
    has_start_times: bool,
}

#[derive(Default)]
struct Entry {
    is_deferred: AtomicBool,
    /// The draw of a deferred span, else whether the span is sampled.
    is_kept: AtomicBool,
    /// True if the gate records the span itself.
    is_own: AtomicBool,
    attaches: AtomicBool,
    started: AtomicU64,
    trace_high: AtomicU64,
    trace_low: AtomicU64,
    /// Written last: 0 until the ids are known.
    span: AtomicU64,
}

impl SpanTable {
    pub(in crate::traces) fn new() -> Self {
        Self {
            ids: rows(),
            entries: rows(),
            open: AtomicUsize::new(0),
            deferred: AtomicUsize::new(0),
            overflowed: AtomicUsize::new(0),
            overflow: Mutex::default(),
            has_start_times: false,
        }
    }

    /// As [`SpanTable::new`], and the table holds the start time of each span.
    pub(in crate::traces) fn with_start_times() -> Self {
        Self {
            has_start_times: true,
            ..Self::new()
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.open.load(Relaxed) == 0
    }

    #[inline]
    pub(super) fn has_deferred(&self) -> bool {
        self.deferred.load(Relaxed) > 0
    }

    #[inline]
    pub(super) fn contains(&self, id: u64) -> bool {
        self.with(id, |_| ()).is_some()
    }

    #[inline]
    pub(super) fn is_sampled(&self, id: u64) -> bool {
        self.decision(id) == Some(Decision::Sampled)
    }

    #[inline]
    pub(super) fn decision(&self, id: u64) -> Option<Decision> {
        self.with(id, Entry::decision)
    }

    /// The way in which a span is recorded; `None` for a span that is not in the table.
    #[inline]
    pub(super) fn seen(&self, id: u64) -> Option<Seen> {
        self.with(id, |entry| {
            let own = entry.is_own.load(Relaxed).then(|| entry.ids()).flatten();
            match own {
                Some(ids) => Seen::Own {
                    ids,
                    attaches: entry.attaches.load(Relaxed),
                },
                None => Seen::OfLayer {
                    lacks_ids: entry.span.load(Relaxed) == 0
                        && entry.decision() == Decision::Sampled,
                },
            }
        })
    }

    /// Sets the ids of a span that the gate records itself.
    pub(super) fn set_own(&self, id: u64, ids: SampledIds, attaches: bool) {
        self.with(id, |entry| {
            entry.is_own.store(true, Relaxed);
            entry.attaches.store(attaches, Relaxed);
        });
        self.set_ids(id, ids);
    }

    /// The ids of a sampled span, once they are set.
    pub(super) fn ids_of(&self, id: u64) -> Option<SampledIds> {
        self.with(id, Entry::ids)?
    }

    /// Sets the ids of a span. Two threads that come at once write the same ids.
    pub(super) fn set_ids(&self, id: u64, ids: SampledIds) {
        self.with(id, |entry| {
            let [high, low] = halves(ids.trace_id);
            entry.trace_high.store(high, Relaxed);
            entry.trace_low.store(low, Relaxed);
            entry.span.store(ids.span_id, Release);
        });
    }

    /// Adds a span; reads the clock only in a table with start times.
    pub(super) fn insert(&self, id: u64, decision: Decision, now: impl FnOnce() -> u64) {
        let started = if self.has_start_times { now() } else { 0 };
        self.open.fetch_add(1, Relaxed);
        let is_deferred = matches!(decision, Decision::Deferred { .. });
        self.deferred.fetch_add(usize::from(is_deferred), Relaxed);
        let row = row(id);
        let ways = self.ids.get(row).into_iter().flatten();
        let slots = ways.zip(self.entries.get(row).into_iter().flatten());
        for (slot, entry) in slots {
            if slot.load(Relaxed) == 0 && slot.compare_exchange(0, id, AcqRel, Relaxed).is_ok() {
                return entry.reset(decision, started);
            }
        }
        let entry = Entry::default();
        entry.reset(decision, started);
        if self.overflow().insert(id, entry).is_none() {
            self.overflowed.fetch_add(1, Relaxed);
        }
    }

    /// Sets the decision on a span.
    pub(super) fn decide(&self, id: u64, is_sampled: bool) {
        self.with(id, |entry| {
            entry.is_kept.store(is_sampled, Relaxed);
            if entry.is_deferred.swap(false, AcqRel) {
                self.deferred.fetch_sub(1, Relaxed);
            }
        });
    }

    /// Removes a span that is decided; returns whether the table contained it.
    #[inline]
    pub(super) fn remove(&self, id: u64) -> bool {
        !self.is_empty() && self.remove_from_slots(id)
    }

    fn remove_from_slots(&self, id: u64) -> bool {
        let mut ways = self.ids.get(row(id)).into_iter().flatten();
        let mut is_removed = ways.any(|slot| {
            slot.load(Relaxed) == id && slot.compare_exchange(id, 0, AcqRel, Relaxed).is_ok()
        });
        if !is_removed && self.overflowed.load(Relaxed) > 0 {
            is_removed = self.overflow().remove(&id).is_some();
            self.overflowed.fetch_sub(usize::from(is_removed), Relaxed);
        }
        self.open.fetch_sub(usize::from(is_removed), Relaxed);
        is_removed
    }

    /// Sampled spans, without those that overflowed. A span that ends meanwhile may have the ids of the next span in
    /// its slot.
    pub(super) fn open_entries(&self) -> impl Iterator<Item = OpenEntry> {
        let slots = self.ids.as_flattened().iter();
        let slots = slots.zip(self.entries.as_flattened());
        slots.filter_map(|(slot, entry)| {
            let id = slot.load(Relaxed);
            (id != 0 && entry.decision() == Decision::Sampled).then(|| OpenEntry {
                id,
                started: entry.started.load(Relaxed),
                ids: entry.ids(),
            })
        })
    }

    #[inline]
    fn with<R>(&self, id: u64, read: impl FnOnce(&Entry) -> R) -> Option<R> {
        if self.is_empty() {
            return None;
        }
        let row = row(id);
        let mut ways = self.ids.get(row)?.iter();
        match ways.position(|slot| slot.load(Relaxed) == id) {
            Some(way) => Some(read(self.entries.get(row)?.get(way)?)),
            None if self.overflowed.load(Relaxed) > 0 => self.overflow().get(&id).map(read),
            None => None,
        }
    }

    fn overflow(&self) -> MutexGuard<'_, HashMap<u64, Entry>> {
        lock(&self.overflow)
    }
}

impl Entry {
    fn reset(&self, decision: Decision, started: u64) {
        let (is_deferred, is_kept) = match decision {
            Decision::Deferred { is_drawn } => (true, is_drawn),
            Decision::Sampled => (false, true),
            Decision::Unsampled => (false, false),
        };
        self.span.store(0, Relaxed);
        self.is_own.store(false, Relaxed);
        self.started.store(started, Relaxed);
        self.is_kept.store(is_kept, Relaxed);
        self.is_deferred.store(is_deferred, Release);
    }

    #[inline]
    fn decision(&self) -> Decision {
        let is_deferred = self.is_deferred.load(Acquire);
        match (is_deferred, self.is_kept.load(Relaxed)) {
            (true, is_drawn) => Decision::Deferred { is_drawn },
            (false, true) => Decision::Sampled,
            (false, false) => Decision::Unsampled,
        }
    }

    fn ids(&self) -> Option<SampledIds> {
        let span_id = self.span.load(Acquire);
        let high = u128::from(self.trace_high.load(Relaxed));
        let low = u128::from(self.trace_low.load(Relaxed));
        (span_id != 0).then_some(SampledIds {
            trace_id: high << 64 | low,
            span_id,
        })
    }
}

fn rows<T: Default>() -> Box<[[T; WAYS]]> {
    let rows = 0..SLOTS / WAYS;
    rows.map(|_| std::array::from_fn(|_| T::default()))
        .collect()
}

#[inline]
fn row(id: u64) -> usize {
    // The high bits of the product are the well-mixed ones.
    (id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize % (SLOTS / WAYS)
}

fn halves(id: u128) -> [u64; 2] {
    #[expect(clippy::cast_possible_truncation, reason = "a half at a time")]
    [(id >> 64) as u64, id as u64]
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: SampledIds = SampledIds {
        trace_id: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736,
        span_id: 5,
    };

    #[test]
    fn a_span_keeps_its_ids_and_the_next_span_in_its_slot_has_none() {
        let table = SpanTable::new();
        table.insert(7, Decision::Sampled, || 0);
        assert_eq!(table.seen(7), Some(Seen::OfLayer { lacks_ids: true }));
        table.set_ids(7, IDS);
        assert_eq!(table.seen(7), Some(Seen::OfLayer { lacks_ids: false }));
        assert_eq!(table.ids_of(7), Some(IDS));
        assert!(table.remove(7) && !table.remove(7));
        assert_eq!(table.seen(7), None);
        table.insert(7, Decision::Sampled, || 0);
        assert_eq!(table.ids_of(7), None);
    }

    #[test]
    fn a_span_that_the_gate_records_is_known_as_such_and_the_next_span_in_its_slot_is_not() {
        let table = SpanTable::new();
        table.insert(7, Decision::Sampled, || 0);
        table.set_own(7, IDS, true);
        let own = Seen::Own {
            ids: IDS,
            attaches: true,
        };
        assert_eq!(table.seen(7), Some(own));
        assert!(table.is_sampled(7) && table.remove(7));
        table.insert(7, Decision::Sampled, || 0);
        assert_eq!(table.seen(7), Some(Seen::OfLayer { lacks_ids: true }));
    }

    #[test]
    fn a_deferred_span_is_neither_sampled_nor_unsampled_until_it_is_decided() {
        let table = SpanTable::new();
        for is_drawn in [true, false] {
            table.insert(7, Decision::Deferred { is_drawn }, || 0);
            assert_eq!(table.decision(7), Some(Decision::Deferred { is_drawn }));
            assert!(table.has_deferred() && !table.is_sampled(7));
            table.decide(7, true);
            assert!(!table.has_deferred() && table.is_sampled(7));
            table.decide(7, false);
            assert!(table.contains(7) && !table.is_sampled(7));
            assert!(table.remove(7) && table.is_empty());
        }
    }

    #[test]
    fn ids_beyond_the_slots_are_kept_with_their_entries() {
        let table = SpanTable::new();
        let all = 1..=3 * SLOTS as u64;
        for id in all.clone() {
            table.insert(id, Decision::Sampled, || 0);
            table.set_ids(id, IDS);
        }
        assert!(table.overflowed.load(Relaxed) > 0);
        let has_ids = |id| table.is_sampled(id) && table.ids_of(id) == Some(IDS);
        assert!(all.clone().all(has_ids));
        assert!(!table.contains(3 * SLOTS as u64 + 1));
        assert!(all.clone().all(|id| table.remove(id)));
        assert!(all.clone().all(|id| !table.remove(id)));
        assert_eq!(table.overflowed.load(Relaxed), 0);
        assert!(table.is_empty());
    }
}
