//! A set of span ids that is asked at every callback: lock-free unless it overflows.

use std::{
    collections::HashSet,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicU64, AtomicUsize,
            Ordering::{AcqRel, Relaxed},
        },
    },
};

/// 64 KiB; more spans of sampled traces than this are open at once only where hardly anything is sampled out.
const PLACES: usize = 8192;
/// Places that an id may be in: half a cache line.
const WAYS: usize = 4;

/// A set of span ids. An id has one owner at a time, so it is in at most one place.
pub(in crate::traces) struct Ids {
    places: Box<[[AtomicU64; WAYS]]>,
    /// Beside each place: when its id came in, as the clock reads. Empty where nobody asks.
    since: Box<[[AtomicU64; WAYS]]>,
    /// How many there are: where hardly anything is sampled, mostly none, and that is quickly seen.
    count: AtomicUsize,
    /// Ids that found no place.
    spilled: AtomicUsize,
    spill: Mutex<HashSet<u64>>,
}

impl Ids {
    pub(in crate::traces) fn new() -> Self {
        Self {
            places: rows(),
            since: Box::default(),
            count: AtomicUsize::new(0),
            spilled: AtomicUsize::new(0),
            spill: Mutex::default(),
        }
    }

    /// As [`Ids::new`], and it is remembered when an id came in.
    pub(in crate::traces) fn with_times() -> Self {
        Self {
            since: rows(),
            ..Self::new()
        }
    }

    /// As [`Ids::insert`]; `now` is asked only where it is remembered.
    pub(super) fn insert_at(&self, id: u64, now: impl FnOnce() -> u64) {
        self.insert(id);
        let row = Self::row(id);
        let Some((places, since)) = self.places.get(row).zip(self.since.get(row)) else {
            return;
        };
        let mut pairs = places.iter().zip(since);
        if let Some((_, since)) = pairs.find(|(place, _)| place.load(Relaxed) == id) {
            since.store(now(), Relaxed);
        }
    }

    /// Those that have a place, and when they came in.
    pub(super) fn timed(&self) -> impl Iterator<Item = (u64, u64)> {
        let places = self.places.iter().flatten();
        let pairs = places.zip(self.since.iter().flatten());
        pairs
            .map(|(place, since)| (place.load(Relaxed), since.load(Relaxed)))
            .filter(|(id, _)| *id != 0)
    }

    #[inline]
    pub(super) fn contains(&self, id: u64) -> bool {
        !self.is_empty() && self.finds(id)
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.count.load(Relaxed) == 0
    }

    #[inline]
    fn finds(&self, id: u64) -> bool {
        self.places(id)
            .iter()
            .any(|place| place.load(Relaxed) == id)
            || (self.spilled.load(Relaxed) > 0 && self.spill().contains(&id))
    }

    pub(super) fn insert(&self, id: u64) {
        self.count.fetch_add(1, Relaxed);
        let found_a_place = self.places(id).iter().any(|place| {
            place.load(Relaxed) == 0 && place.compare_exchange(0, id, AcqRel, Relaxed).is_ok()
        });
        if !found_a_place && self.spill().insert(id) {
            self.spilled.fetch_add(1, Relaxed);
        }
    }

    /// True for the one caller that took it out.
    #[inline]
    pub(super) fn remove(&self, id: u64) -> bool {
        let is_there = !self.is_empty() && self.takes_out(id);
        if is_there {
            self.count.fetch_sub(1, Relaxed);
        }
        is_there
    }

    fn takes_out(&self, id: u64) -> bool {
        let was_in_place = self.places(id).iter().any(|place| {
            place.load(Relaxed) == id && place.compare_exchange(id, 0, AcqRel, Relaxed).is_ok()
        });
        if was_in_place {
            return true;
        }
        if self.spilled.load(Relaxed) == 0 || !self.spill().remove(&id) {
            return false;
        }
        self.spilled.fetch_sub(1, Relaxed);
        true
    }

    #[inline]
    fn places(&self, id: u64) -> &[AtomicU64] {
        // The row is always there; `get` spares a panic's code.
        self.places.get(Self::row(id)).map_or(&[], |row| row)
    }

    #[inline]
    fn row(id: u64) -> usize {
        // The product's high bits are the well-mixed ones.
        (id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize % (PLACES / WAYS)
    }

    fn spill(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.spill.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rows() -> Box<[[AtomicU64; WAYS]]> {
    (0..PLACES / WAYS)
        .map(|_| [const { AtomicU64::new(0) }; WAYS])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_beyond_the_places_are_kept_all_the_same() {
        let ids = Ids::new();
        let all = 1..=3 * PLACES as u64;
        all.clone().for_each(|id| ids.insert(id));
        assert!(ids.spilled.load(Relaxed) > 0);
        assert!(all.clone().all(|id| ids.contains(id)));
        assert!(!ids.contains(3 * PLACES as u64 + 1));
        assert!(all.clone().all(|id| ids.remove(id)));
        assert!(all.clone().all(|id| !ids.remove(id) && !ids.contains(id)));
        assert_eq!((ids.spilled.load(Relaxed), ids.is_empty()), (0, true));
    }
}
