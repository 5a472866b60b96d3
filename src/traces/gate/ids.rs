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
pub(super) struct Ids {
    places: Table<AtomicU64>,
    /// How many there are: where hardly anything is sampled, mostly none, and that is quickly seen.
    count: AtomicUsize,
    /// Ids that found no place.
    spilled: AtomicUsize,
    spill: Mutex<HashSet<u64>>,
}

/// As many of something as there are places.
pub(super) struct Table<T>(Box<[[T; WAYS]]>);

/// A place of the table.
#[derive(Clone, Copy)]
pub(super) struct Index {
    row: usize,
    way: usize,
}

/// Where an id is.
pub(super) enum Place {
    At(Index),
    Spilled,
    Nowhere,
}

impl<T: Default> Table<T> {
    pub(super) fn new() -> Self {
        let rows = 0..PLACES / WAYS;
        Self(
            rows.map(|_| std::array::from_fn(|_| T::default()))
                .collect(),
        )
    }
}

impl<T> Table<T> {
    /// It is always there; `get` spares a panic's code.
    #[inline]
    pub(super) fn at(&self, index: Index) -> Option<&T> {
        self.0.get(index.row)?.get(index.way)
    }

    #[inline]
    fn row(&self, row: usize) -> &[T] {
        self.0.get(row).map_or(&[], |row| row)
    }
}

impl Ids {
    pub(super) fn new() -> Self {
        Self {
            places: Table::new(),
            count: AtomicUsize::new(0),
            spilled: AtomicUsize::new(0),
            spill: Mutex::default(),
        }
    }

    /// Those that have a place.
    pub(super) fn places(&self) -> impl Iterator<Item = (u64, Index)> {
        let rows = self.places.0.iter().enumerate();
        let all = rows.flat_map(|(row, ways)| {
            let ways = ways.iter().enumerate();
            ways.map(move |(way, place)| (place.load(Relaxed), Index { row, way }))
        });
        all.filter(|(id, _)| *id != 0)
    }

    /// Where an id is.
    #[inline]
    pub(super) fn find(&self, id: u64) -> Place {
        if self.is_empty() {
            return Place::Nowhere;
        }
        let row = row(id);
        let places = self.places.row(row).iter();
        match places.clone().position(|place| place.load(Relaxed) == id) {
            Some(way) => Place::At(Index { row, way }),
            None if self.spilled.load(Relaxed) > 0 && self.spill().contains(&id) => Place::Spilled,
            None => Place::Nowhere,
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
        self.row_of(id)
            .iter()
            .any(|place| place.load(Relaxed) == id)
            || (self.spilled.load(Relaxed) > 0 && self.spill().contains(&id))
    }

    /// Takes an id in; returns its place, if there is one.
    pub(super) fn insert(&self, id: u64) -> Option<Index> {
        self.count.fetch_add(1, Relaxed);
        let row = row(id);
        let found = self.places.row(row).iter().position(|place| {
            place.load(Relaxed) == 0 && place.compare_exchange(0, id, AcqRel, Relaxed).is_ok()
        });
        if found.is_none() && self.spill().insert(id) {
            self.spilled.fetch_add(1, Relaxed);
        }
        found.map(|way| Index { row, way })
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
        let was_in_place = self.row_of(id).iter().any(|place| {
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
    fn row_of(&self, id: u64) -> &[AtomicU64] {
        self.places.row(row(id))
    }

    fn spill(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.spill.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[inline]
fn row(id: u64) -> usize {
    // The product's high bits are the well-mixed ones.
    (id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize % (PLACES / WAYS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_beyond_the_places_are_kept_all_the_same() {
        let ids = Ids::new();
        let all = 1..=3 * PLACES as u64;
        all.clone().for_each(|id| {
            ids.insert(id);
        });
        assert!(ids.spilled.load(Relaxed) > 0);
        assert!(all.clone().all(|id| ids.contains(id)));
        assert!(!ids.contains(3 * PLACES as u64 + 1));
        assert!(all.clone().all(|id| ids.remove(id)));
        assert!(all.clone().all(|id| !ids.remove(id) && !ids.contains(id)));
        assert_eq!((ids.spilled.load(Relaxed), ids.is_empty()), (0, true));
    }
}
