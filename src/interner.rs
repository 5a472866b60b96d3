//! Turns a label set into a small number and the value that belongs to it, once; then finds it without a
//! lock or an allocation.
//!
//! Append-only and bounded: nothing is ever removed, so a number stays good for ever. A set beyond the
//! limit becomes the one with its unbounded values folded to [`OVERFLOW`](crate::observation::OVERFLOW);
//! a reserve is kept for those, and beyond it one set takes all.

use std::{
    fmt,
    hash::{BuildHasher, Hasher},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use foldhash::fast::RandomState;

use crate::observation::Labels;

/// Label sets remembered unless configured otherwise; the series limit per metric.
pub(crate) const DEFAULT_LIMIT: usize = 2_000;
/// Places for folded sets beyond the limit.
const RESERVE: usize = 256;

/// Whether a set was known, is new, or was folded because the limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Known or new: the set itself.
    Own,
    /// A set that stands for many.
    Overflow,
}

/// A label set's number and value.
pub(crate) struct Interned<'i, T> {
    pub(crate) number: u32,
    pub(crate) value: &'i T,
    pub(crate) found: Found,
}

/// Label sets, their numbers and values.
pub(crate) struct Interner<T> {
    limit: usize,
    /// Made at the first set: most services use a few kinds of observation only.
    storage: OnceLock<Storage<T>>,
}

struct Storage<T> {
    hasher: RandomState,
    /// Open addressing; the high half of the hash, and the number of the entry. 0 is free.
    index: Box<[AtomicU64]>,
    /// Entry `i` has number `i + 1`. The last one takes all that fits nowhere else.
    entries: Box<[OnceLock<Box<Entry<T>>>]>,
    used: Mutex<usize>,
    limit: usize,
    /// Set once the limit is reached: folded sets are then found without the lock.
    is_full: AtomicBool,
}

struct Entry<T> {
    key: Box<[u8]>,
    value: T,
}

impl<T> Interner<T> {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            limit,
            storage: OnceLock::new(),
        }
    }

    /// The number and value of this label set; `make` makes the value if it is new.
    #[inline]
    pub(crate) fn resolve(
        &self,
        labels: &mut Labels,
        make: impl FnOnce(&Labels) -> T,
    ) -> Interned<'_, T> {
        let storage = self.storage.get_or_init(|| Storage::new(self.limit));
        let key = labels.canonical();
        match storage.find(storage.hash(key), key) {
            Ok((number, entry)) => Interned {
                number,
                value: &entry.value,
                found: Found::Own,
            },
            Err(_) => storage.create(labels, make),
        }
    }

    /// The value of a set; `None` for a number that was never given out.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        Some(&self.storage.get()?.entry(number)?.value)
    }

    /// The labels of a set.
    pub(crate) fn labels(&self, number: u32) -> Labels {
        let entry = self.storage.get().and_then(|storage| storage.entry(number));
        entry.map_or_else(Labels::new, |entry| Labels::from_canonical(&entry.key))
    }
}

impl<T> Storage<T> {
    fn new(limit: usize) -> Self {
        let places = limit + RESERVE;
        Self {
            hasher: RandomState::default(),
            // At most half full, so that a search always ends at a free place.
            index: (0..(places * 2).next_power_of_two())
                .map(|_| AtomicU64::new(0))
                .collect(),
            entries: (0..=places).map(|_| OnceLock::new()).collect(),
            used: Mutex::new(0),
            limit,
            is_full: AtomicBool::new(false),
        }
    }

    #[inline]
    fn entry(&self, number: u32) -> Option<&Entry<T>> {
        self.entries
            .get((number as usize).wrapping_sub(1))?
            .get()
            .map(Box::as_ref)
    }

    #[inline]
    fn hash(&self, key: &[u8]) -> u64 {
        // The bit keeps the high half from being 0, which means free.
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        hasher.finish() | 1 << 63
    }

    /// The entry, or the free place in the index where it belongs.
    #[inline]
    fn find(&self, hash: u64, key: &[u8]) -> Result<(u32, &Entry<T>), usize> {
        let mask = self.index.len() - 1;
        let mut place = hash as usize & mask;
        loop {
            let found = self.index[place & mask].load(Ordering::Acquire);
            if found == 0 {
                return Err(place & mask);
            }
            let (found_hash, number) = (found >> 32, found as u32);
            if found_hash == hash >> 32
                && let Some(entry) = self.entry(number)
                && *entry.key == *key
            {
                return Ok((number, entry));
            }
            place += 1;
        }
    }

    #[cold]
    #[inline(never)]
    fn create(&self, labels: &mut Labels, make: impl FnOnce(&Labels) -> T) -> Interned<'_, T> {
        if !self.is_full.load(Ordering::Relaxed) {
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            if *used < self.limit {
                return self.insert(&mut used, labels, make, Found::Own);
            }
            self.is_full.store(true, Ordering::Relaxed);
        }
        let mut folded = labels.overflowed();
        let key = folded.canonical();
        if let Ok((number, entry)) = self.find(self.hash(key), key) {
            return Interned {
                number,
                value: &entry.value,
                found: Found::Overflow,
            };
        }
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        self.insert(&mut used, &mut folded, make, Found::Overflow)
    }

    /// Makes an entry; the last one, beyond which there is no place, is made once and takes all that come.
    fn insert(
        &self,
        used: &mut usize,
        labels: &mut Labels,
        make: impl FnOnce(&Labels) -> T,
        found: Found,
    ) -> Interned<'_, T> {
        let last = self.entries.len() - 1;
        let key = labels.canonical();
        let hash = self.hash(key);
        // Another thread may have been first.
        let index = match self.find(hash, key) {
            Ok((number, entry)) => {
                return Interned {
                    number,
                    value: &entry.value,
                    found,
                };
            }
            Err(index) => index,
        };
        let key: Box<[u8]> = key.into();
        let place = (*used).min(last);
        let entry = self.entries[place].get_or_init(|| {
            Box::new(Entry {
                key,
                value: make(labels),
            })
        });
        let number = place as u32 + 1;
        if place < last {
            *used += 1;
            self.index[index].store(hash >> 32 << 32 | u64::from(number), Ordering::Release);
        }
        Interned {
            number,
            value: &entry.value,
            found,
        }
    }
}

impl<T> fmt::Debug for Interner<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interner")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{Label, OVERFLOW};

    fn model(id: &str) -> Labels {
        [(Label::ModelId, id), (Label::Operation, "chat")]
            .into_iter()
            .collect()
    }

    #[test]
    fn a_set_has_one_number_for_ever() {
        let interner = Interner::new(10);
        let make = |labels: &Labels| labels.value(Label::ModelId).to_owned();
        let first = interner.resolve(&mut model("a"), make);
        assert_eq!(first.found, Found::Own);
        assert_eq!(
            interner.resolve(&mut model("a"), |_| unreachable!()).number,
            first.number
        );
        assert_eq!(interner.get(first.number).map(String::as_str), Some("a"));
        assert_eq!(interner.labels(first.number).get(Label::ModelId), Some("a"));
        assert_eq!((interner.get(0), interner.get(77)), (None, None));
    }

    #[test]
    fn beyond_the_limit_unbounded_values_fold_and_bounded_ones_stay() {
        let interner = Interner::new(2);
        for id in ["a", "b"] {
            assert_eq!(interner.resolve(&mut model(id), |_| ()).found, Found::Own);
        }
        let folded = interner.resolve(&mut model("c"), |_| ());
        assert_eq!(folded.found, Found::Overflow);
        let labels = interner.labels(folded.number);
        assert_eq!(
            (labels.get(Label::ModelId), labels.get(Label::Operation)),
            (Some(OVERFLOW), Some("chat"))
        );
        assert_eq!(
            interner.resolve(&mut model("d"), |_| ()).number,
            folded.number
        );
    }

    #[test]
    fn bounded_labels_that_are_none_end_in_one_set() {
        let interner = Interner::new(1);
        let mut numbers = std::collections::HashSet::new();
        for operation in 0..2_000 {
            let operation = operation.to_string();
            let mut labels: Labels = [(Label::Operation, operation.as_str())]
                .into_iter()
                .collect();
            numbers.insert(interner.resolve(&mut labels, |_| ()).number);
        }
        assert_eq!(numbers.len(), 1 + RESERVE + 1);
    }

    #[test]
    fn threads_agree_on_the_numbers() {
        let interner = Interner::new(500);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for id in 0..400 {
                        let id = format!("model-{id}");
                        let make = |labels: &Labels| labels.value(Label::ModelId).to_owned();
                        assert_eq!(*interner.resolve(&mut model(&id), make).value, id);
                    }
                });
            }
        });
        assert_eq!(
            interner
                .storage
                .get()
                .map(|storage| *storage.used.lock().unwrap()),
            Some(400)
        );
    }
}
