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
    /// How many there are: where hardly anything is sampled, mostly none, and that is quickly seen.
    count: AtomicUsize,
    /// Ids that found no place.
    spilled: AtomicUsize,
    spill: Mutex<HashSet<u64>>,
}

impl Ids {
    pub(in crate::traces) fn new() -> Self {
        Self {
            places: (0..PLACES / WAYS)
                .map(|_| [const { AtomicU64::new(0) }; WAYS])
                .collect(),
            count: AtomicUsize::new(0),
            spilled: AtomicUsize::new(0),
            spill: Mutex::default(),
        }
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
        // The product's high bits are the well-mixed ones. The row is always there; `get` spares a panic's code.
        let row = (id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize % (PLACES / WAYS);
        self.places.get(row).map_or(&[], |row| row)
    }

    fn spill(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.spill.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
