//! The spans that are recorded: which they are, what they are called elsewhere, and since when they are open.
//!
//! A span's extensions could hold its name as well, at the price of a lock, an allocation and a look-up for each span
//! of a sampled trace.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use super::{
    Entered,
    ids::{Ids, Place, Table},
};

/// Spans of sampled traces.
pub(in crate::traces) struct Sampled {
    ids: Ids,
    /// Beside each place of an id.
    details: Table<Detail>,
    is_timed: bool,
}

#[derive(Default)]
struct Detail {
    /// When it began, as the clock reads.
    since: AtomicU64,
    trace_high: AtomicU64,
    trace_low: AtomicU64,
    /// Written last: 0 until the span has a name.
    span: AtomicU64,
}

/// What is known of the name of a span.
pub(super) enum Naming<'s> {
    /// It has one.
    Known,
    /// It has none yet.
    Open(Nameless<'s>),
    /// There was no place for it: it is somewhere else, if anywhere.
    Elsewhere,
    /// It is not recorded.
    Absent,
}

/// A span that has no name yet.
pub(super) struct Nameless<'s>(&'s Detail);

/// A recorded span that is open.
pub(super) struct Open {
    pub(super) id: u64,
    pub(super) since: u64,
    pub(super) name: Option<Entered>,
}

impl Sampled {
    pub(in crate::traces) fn new() -> Self {
        Self {
            ids: Ids::new(),
            details: Table::new(),
            is_timed: false,
        }
    }

    /// As [`Sampled::new`], and it is remembered when a span began.
    pub(in crate::traces) fn with_times() -> Self {
        Self {
            is_timed: true,
            ..Self::new()
        }
    }

    #[inline]
    pub(super) fn contains(&self, id: u64) -> bool {
        self.ids.contains(id)
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Takes a span in; `now` is asked only where it is remembered.
    pub(super) fn insert(&self, id: u64, now: impl FnOnce() -> u64) {
        let detail = self.ids.insert(id).and_then(|place| self.details.at(place));
        let Some(detail) = detail else { return };
        detail.span.store(0, Relaxed);
        if self.is_timed {
            detail.since.store(now(), Relaxed);
        }
    }

    /// True for the one caller that took it out.
    #[inline]
    pub(super) fn remove(&self, id: u64) -> bool {
        self.ids.remove(id)
    }

    /// Whether a span has a name.
    #[inline]
    pub(super) fn naming(&self, id: u64) -> Naming<'_> {
        match self.ids.find(id) {
            Place::At(place) => match self.details.at(place) {
                Some(detail) if detail.span.load(Relaxed) == 0 => Naming::Open(Nameless(detail)),
                _ => Naming::Known,
            },
            Place::Spilled => Naming::Elsewhere,
            Place::Nowhere => Naming::Absent,
        }
    }

    /// The name of a span that has one here.
    pub(super) fn name_of(&self, id: u64) -> Option<Entered> {
        match self.ids.find(id) {
            Place::At(place) => self.details.at(place)?.name(),
            Place::Spilled | Place::Nowhere => None,
        }
    }

    /// Those that have a place. One that ends meanwhile may be called as another for a moment.
    pub(super) fn open(&self) -> impl Iterator<Item = Open> {
        self.ids.places().filter_map(|(id, place)| {
            let detail = self.details.at(place)?;
            Some(Open {
                id,
                since: detail.since.load(Relaxed),
                name: detail.name(),
            })
        })
    }
}

impl Nameless<'_> {
    /// Gives it its name. It has one only, so two who come at once write the same.
    pub(super) fn set(self, name: &Entered) {
        let Self(detail) = self;
        let [high, low] = halves(name.trace_id);
        detail.trace_high.store(high, Relaxed);
        detail.trace_low.store(low, Relaxed);
        detail.span.store(name.span_id, Release);
    }
}

impl Detail {
    fn name(&self) -> Option<Entered> {
        let span_id = self.span.load(Acquire);
        let high = u128::from(self.trace_high.load(Relaxed));
        let low = u128::from(self.trace_low.load(Relaxed));
        (span_id != 0).then_some(Entered {
            trace_id: high << 64 | low,
            span_id,
        })
    }
}

fn halves(id: u128) -> [u64; 2] {
    #[expect(clippy::cast_possible_truncation, reason = "a half at a time")]
    [(id >> 64) as u64, id as u64]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_one_name_and_the_next_in_its_place_has_none() {
        let sampled = Sampled::new();
        sampled.insert(7, || 0);
        let Naming::Open(nameless) = sampled.naming(7) else {
            panic!("it has no name yet");
        };
        let trace_id = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
        nameless.set(&Entered {
            trace_id,
            span_id: 5,
        });
        assert!(matches!(sampled.naming(7), Naming::Known));
        let name = sampled.name_of(7).unwrap();
        assert_eq!((name.trace_id, name.span_id), (trace_id, 5));
        assert!(sampled.remove(7));
        assert!(matches!(sampled.naming(7), Naming::Absent));
        sampled.insert(7, || 0);
        assert!(sampled.name_of(7).is_none());
    }
}
