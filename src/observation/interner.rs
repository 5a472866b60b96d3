//! Turns a label set into a small number and the value that belongs to it, once; then finds it without a
//! lock or an allocation.
//!
//! Append-only and bounded: nothing is ever removed, so a number stays good for ever. A set beyond the
//! limit becomes the one with its unbounded values folded to [`OVERFLOW`](super::OVERFLOW);
//! a reserve is kept for those, and beyond it one set takes all.

use std::{
    fmt,
    hash::{BuildHasher, Hasher},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use foldhash::fast::RandomState;

use super::labels::Labels;

/// Label sets remembered unless configured otherwise; the series limit per metric.
pub(crate) const DEFAULT_LIMIT: usize = 2_000;
/// Any limit allows this many at most.
const MOST: usize = 1_000_000;
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
    used: AtomicUsize,
    inserting: Mutex<()>,
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
        let limit = if limit < MOST { limit } else { MOST };
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
        make: impl Fn(&Labels) -> T,
    ) -> Interned<'_, T> {
        match self.find(labels) {
            Some((number, value)) => Interned {
                number,
                value,
                found: Found::Own,
            },
            None => self
                .storage
                .get_or_init(|| Storage::new(self.limit))
                .create(labels, make),
        }
    }

    /// The number and value of this label set, if it is known.
    #[inline]
    pub(crate) fn find(&self, labels: &mut Labels) -> Option<(u32, &T)> {
        let storage = self.storage.get()?;
        let key = labels.canonical();
        let (number, entry) = storage.find(storage.hash(key), key).ok()?;
        Some((number, &entry.value))
    }

    /// The value of a set; `None` for a number that was never given out.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        Some(&self.storage.get()?.entry(number)?.value)
    }

    /// The labels of a set.
    pub(crate) fn labels(&self, number: u32) -> Labels {
        match self.storage.get().and_then(|storage| storage.entry(number)) {
            Some(entry) => Labels::from_canonical(&entry.key),
            None => Labels::new(),
        }
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
            used: AtomicUsize::new(0),
            inserting: Mutex::new(()),
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
        let place = hash as usize & (self.index.len() - 1);
        // Nearly always it is in the first place.
        match self.at(place, hash, key) {
            Some(found) => Ok(found),
            None => self.find_from(place, hash, key),
        }
    }

    /// Looks in this place, and in those behind it up to a free one.
    #[inline(never)]
    fn find_from(
        &self,
        mut place: usize,
        hash: u64,
        key: &[u8],
    ) -> Result<(u32, &Entry<T>), usize> {
        while self.index[place].load(Ordering::Acquire) != 0 {
            if let Some(found) = self.at(place, hash, key) {
                return Ok(found);
            }
            place = (place + 1) & (self.index.len() - 1);
        }
        Err(place)
    }

    /// The entry in this place, if it has this key. (A free place has no hash that could be looked for.)
    #[inline]
    fn at(&self, place: usize, hash: u64, key: &[u8]) -> Option<(u32, &Entry<T>)> {
        let found = self.index[place].load(Ordering::Acquire);
        if found >> 32 != hash >> 32 {
            return None;
        }
        let entry = self.entry(found as u32)?;
        (*entry.key == *key).then_some((found as u32, entry))
    }

    /// Makes an entry, or finds the one that a set beyond the limit folds into.
    ///
    /// Values are made before the lock is taken: making one may call a recorder of the application's, which may
    /// come back here.
    #[cold]
    #[inline(never)]
    fn create(&self, labels: &mut Labels, make: impl Fn(&Labels) -> T) -> Interned<'_, T> {
        if !self.is_full.load(Ordering::Relaxed) {
            let value = make(labels);
            if let Some(interned) = self.insert(labels, value, self.limit, Found::Own) {
                return interned;
            }
            self.is_full.store(true, Ordering::Relaxed);
        }
        // Details go first: a model that is known by its name stays known.
        let half = self.limit + RESERVE / 2;
        for (mut folded, limit) in [
            (labels.without_details(), half),
            (labels.overflowed(), self.limit + RESERVE),
        ] {
            let key = folded.canonical();
            if *key == *labels.canonical() && limit == half {
                continue; // It has no details.
            }
            if let Ok((number, entry)) = self.find(self.hash(key), key) {
                return Interned {
                    number,
                    value: &entry.value,
                    found: Found::Overflow,
                };
            }
            if self.used.load(Ordering::Relaxed) < limit {
                let value = make(&folded);
                if let Some(interned) = self.insert(&mut folded, value, limit, Found::Overflow) {
                    return interned;
                }
            }
        }
        // The one that takes everything; it is in no index.
        let last = self.entries.len() - 1;
        let mut folded = labels.overflowed();
        let entry = self.entries[last].get_or_init(|| {
            Box::new(Entry {
                key: folded.canonical().into(),
                value: make(&folded),
            })
        });
        Interned {
            number: last as u32 + 1,
            value: &entry.value,
            found: Found::Overflow,
        }
    }

    /// `None` if `limit` is reached.
    fn insert(
        &self,
        labels: &mut Labels,
        value: T,
        limit: usize,
        found: Found,
    ) -> Option<Interned<'_, T>> {
        let key = labels.canonical();
        let hash = self.hash(key);
        let _one_at_a_time = self
            .inserting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been first.
        let index = match self.find(hash, key) {
            Ok((number, entry)) => {
                return Some(Interned {
                    number,
                    value: &entry.value,
                    found,
                });
            }
            Err(index) => index,
        };
        let place = self.used.load(Ordering::Relaxed);
        if place >= limit {
            return None;
        }
        let key = key.into();
        let entry = self.entries[place].get_or_init(|| Box::new(Entry { key, value }));
        let number = place as u32 + 1;
        self.used.store(place + 1, Ordering::Relaxed);
        self.index[index].store(hash >> 32 << 32 | u64::from(number), Ordering::Release);
        Some(Interned {
            number,
            value: &entry.value,
            found,
        })
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
                .map(|storage| storage.used.load(Ordering::Relaxed)),
            Some(400)
        );
    }
}
