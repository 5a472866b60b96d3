//! Holds the spans that tracing-opentelemetry's layer has seen, with the decision on each, its ids and its start.
//!
//! The gate reads the table at every callback, so reads take no lock unless the table overflows. Span extensions could
//! hold the same data, at the price of a lock, an allocation and a lookup for each span of a sampled trace.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard,
        atomic::{
            AtomicBool, AtomicU32, AtomicU64, AtomicUsize,
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

/// The number of spans in all tables of the process, so that an enter or an exit reads a single number at a fixed address
/// while no span is sampled.
static ACTIVE: AtomicUsize = AtomicUsize::new(0);

/// Returns true if a table contains a span, or [`keep_active`] has been called.
#[inline]
pub(crate) fn is_active() -> bool {
    ACTIVE.load(Relaxed) > 0
}

/// Makes [`is_active`] return true until [`allow_idle`].
pub(super) fn keep_active() {
    ACTIVE.fetch_add(1, Relaxed);
}

/// Ends one [`keep_active`].
pub(super) fn allow_idle() {
    ACTIVE.fetch_sub(1, Relaxed);
}

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

/// A span that has been removed from the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Removed {
    pub(super) seen: Seen,
    /// The difference of clock readings while a thread was inside the span.
    pub(super) busy: u64,
    /// The same for the time before the last enter, outside the span.
    pub(super) idle: u64,
}

/// A sampled span that is open.
pub(super) struct OpenEntry {
    pub(super) id: u64,
    /// A reading of the clock.
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
    /// Enters without an exit.
    inside: AtomicU32,
    /// The reading of the clock at the last change between busy and idle.
    changed: AtomicU64,
    busy: AtomicU64,
    idle: AtomicU64,
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
        self.with(id, Entry::seen)
    }

    /// As [`SpanTable::seen`], at an enter of the span.
    #[inline]
    pub(super) fn enter(&self, id: u64, now: impl FnOnce() -> u64) -> Option<Seen> {
        self.with(id, |entry| {
            let seen = entry.seen();
            if matches!(seen, Seen::OfLayer { .. }) && entry.inside.fetch_add(1, Relaxed) == 0 {
                entry.change(&entry.idle, now());
            }
            seen
        })
    }

    /// As [`SpanTable::seen`], at an exit of the span.
    #[inline]
    pub(super) fn exit(&self, id: u64, now: impl FnOnce() -> u64) -> Option<Seen> {
        self.with(id, |entry| {
            let seen = entry.seen();
            if matches!(seen, Seen::OfLayer { .. }) && entry.inside.fetch_sub(1, Relaxed) == 1 {
                entry.change(&entry.busy, now());
            }
            seen
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

    /// Adds a span that starts at this reading of the clock.
    pub(super) fn insert(&self, id: u64, decision: Decision, started: u64) {
        self.open.fetch_add(1, Relaxed);
        ACTIVE.fetch_add(1, Relaxed);
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

    /// Removes a span that is decided; `None` if the table does not contain it.
    #[inline]
    pub(super) fn remove(&self, id: u64) -> Option<Removed> {
        if self.is_empty() {
            return None;
        }
        let removed = self
            .remove_from_slots(id)
            .or_else(|| self.remove_from_overflow(id))?;
        self.open.fetch_sub(1, Relaxed);
        ACTIVE.fetch_sub(1, Relaxed);
        Some(removed)
    }

    fn remove_from_slots(&self, id: u64) -> Option<Removed> {
        let row = row(id);
        let ways = self.ids.get(row)?;
        let way = ways.iter().position(|slot| slot.load(Relaxed) == id)?;
        let removed = self.entries.get(row)?.get(way)?.removed();
        // The slot may be taken for another span from now on.
        let freed = ways.get(way)?.compare_exchange(id, 0, AcqRel, Relaxed);
        freed.is_ok().then_some(removed)
    }

    fn remove_from_overflow(&self, id: u64) -> Option<Removed> {
        if self.overflowed.load(Relaxed) == 0 {
            return None;
        }
        let removed = self.overflow().remove(&id)?.removed();
        self.overflowed.fetch_sub(1, Relaxed);
        Some(removed)
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

impl Drop for SpanTable {
    fn drop(&mut self) {
        ACTIVE.fetch_sub(*self.open.get_mut(), Relaxed);
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
        self.inside.store(0, Relaxed);
        self.changed.store(started, Relaxed);
        self.busy.store(0, Relaxed);
        self.idle.store(0, Relaxed);
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

    #[inline]
    fn seen(&self) -> Seen {
        let own = self.is_own.load(Relaxed).then(|| self.ids()).flatten();
        match own {
            Some(ids) => Seen::Own {
                ids,
                attaches: self.attaches.load(Relaxed),
            },
            None => Seen::OfLayer {
                lacks_ids: self.span.load(Relaxed) == 0 && self.decision() == Decision::Sampled,
            },
        }
    }

    /// Adds the time since the last change to `to`.
    #[inline]
    fn change(&self, to: &AtomicU64, now: u64) {
        let since = self.changed.swap(now, Relaxed);
        to.fetch_add(now.saturating_sub(since), Relaxed);
    }

    #[inline]
    fn removed(&self) -> Removed {
        Removed {
            seen: self.seen(),
            busy: self.busy.load(Relaxed),
            idle: self.idle.load(Relaxed),
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
        table.insert(7, Decision::Sampled, 0);
        assert_eq!(table.seen(7), Some(Seen::OfLayer { lacks_ids: true }));
        table.set_ids(7, IDS);
        assert_eq!(table.seen(7), Some(Seen::OfLayer { lacks_ids: false }));
        assert_eq!(table.ids_of(7), Some(IDS));
        assert!(table.remove(7).is_some() && table.remove(7).is_none());
        assert_eq!(table.seen(7), None);
        table.insert(7, Decision::Sampled, 0);
        assert_eq!(table.ids_of(7), None);
    }

    #[test]
    fn a_span_that_the_gate_records_is_known_as_such_and_the_next_span_in_its_slot_is_not() {
        let table = SpanTable::new();
        table.insert(7, Decision::Sampled, 0);
        table.set_own(7, IDS, true);
        let own = Seen::Own {
            ids: IDS,
            attaches: true,
        };
        assert_eq!(table.seen(7), Some(own));
        assert!(table.is_sampled(7));
        assert_eq!(table.remove(7).map(|removed| removed.seen), Some(own));
        table.insert(7, Decision::Sampled, 0);
        assert_eq!(table.seen(7), Some(Seen::OfLayer { lacks_ids: true }));
    }

    #[test]
    fn a_deferred_span_is_neither_sampled_nor_unsampled_until_it_is_decided() {
        let table = SpanTable::new();
        for is_drawn in [true, false] {
            table.insert(7, Decision::Deferred { is_drawn }, 0);
            assert_eq!(table.decision(7), Some(Decision::Deferred { is_drawn }));
            assert!(table.has_deferred() && !table.is_sampled(7));
            table.decide(7, true);
            assert!(!table.has_deferred() && table.is_sampled(7));
            table.decide(7, false);
            assert!(table.contains(7) && !table.is_sampled(7));
            assert!(table.remove(7).is_some() && table.is_empty());
        }
    }

    #[test]
    fn the_time_inside_a_span_counts_from_its_first_enter_to_the_exit_of_its_last_thread() {
        let table = SpanTable::new();
        table.insert(7, Decision::Sampled, 10);
        // Two threads are inside at once.
        table.enter(7, || 13);
        table.enter(7, || 99);
        table.exit(7, || 99);
        table.exit(7, || 20);
        table.enter(7, || 25);
        table.exit(7, || 26);
        let removed = table.remove(7).unwrap();
        assert_eq!((removed.busy, removed.idle), (7 + 1, 3 + 5));
        table.insert(7, Decision::Sampled, 30);
        let removed = table.remove(7).unwrap();
        assert_eq!((removed.busy, removed.idle), (0, 0));
    }

    #[test]
    fn ids_beyond_the_slots_are_kept_with_their_entries() {
        let table = SpanTable::new();
        let all = 1..=3 * SLOTS as u64;
        for id in all.clone() {
            table.insert(id, Decision::Sampled, 0);
            table.set_ids(id, IDS);
        }
        assert!(table.overflowed.load(Relaxed) > 0);
        let has_ids = |id| table.is_sampled(id) && table.ids_of(id) == Some(IDS);
        assert!(all.clone().all(has_ids));
        assert!(!table.contains(3 * SLOTS as u64 + 1));
        assert!(all.clone().all(|id| table.remove(id).is_some()));
        assert!(all.clone().all(|id| table.remove(id).is_none()));
        assert_eq!(table.overflowed.load(Relaxed), 0);
        assert!(table.is_empty());
    }
}
