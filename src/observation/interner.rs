//! Maps label sets to numbers and values. Finding a known set takes neither a lock nor an allocation.
//!
//! The interner is append-only and bounded: it removes no set, so a number stays valid. Beyond the limit, the interner
//! folds a label set into the set whose unbounded values are [`OVERFLOW`](super::OVERFLOW). It reserves entries for
//! folded sets; if the reserve is used up, a single last entry stands for all further sets.

use std::{
    fmt,
    hash::{BuildHasher, Hasher},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use foldhash::fast::RandomState;

use super::labels::Labels;
use crate::runtime::lock;

/// Default max label sets; also the default series limit of a metric.
pub(crate) const DEFAULT_LIMIT: usize = 2_000;
/// Upper bound of every configured limit.
const MAX_LABEL_SETS: usize = 1_000_000;
/// Entries for folded sets beyond the limit.
const RESERVE: usize = 256;

/// The number and the value of a label set.
pub(crate) struct Interned<'i, T> {
    pub(crate) number: u32,
    pub(crate) value: &'i T,
    /// The set stands for the label sets beyond the limit.
    pub(crate) is_overflow: bool,
}

/// Label sets with their numbers and values.
pub(crate) struct Interner<T> {
    limit: usize,
    /// Allocated with the first set: most services use few kinds of observation.
    storage: OnceLock<Storage<T>>,
}

struct Storage<T> {
    hasher: RandomState,
    /// Open addressing. A slot holds the high half of the hash and the number of the entry; 0 is a free slot.
    index: Box<[AtomicU64]>,
    /// Entry `i` has number `i + 1`. The last entry stands for all sets beyond the reserve.
    entries: Box<[OnceLock<Box<Entry<T>>>]>,
    used: AtomicUsize,
    inserting: Mutex<()>,
    limit: usize,
    /// Set when the limit is reached; later sets beyond the limit are then folded without the lock.
    is_full: AtomicBool,
}

struct Entry<T> {
    key: Box<[u8]>,
    value: T,
}

impl<T> Interner<T> {
    pub(crate) const fn new(limit: usize) -> Self {
        let limit = if limit < MAX_LABEL_SETS {
            limit
        } else {
            MAX_LABEL_SETS
        };
        Self {
            limit,
            storage: OnceLock::new(),
        }
    }

    /// Returns the number and the value of a label set; `make` creates the value of a new set.
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
                is_overflow: false,
            },
            None => self
                .storage
                .get_or_init(|| Storage::new(self.limit))
                .create(labels, make),
        }
    }

    /// Returns the number and the value of a known label set.
    #[inline]
    pub(crate) fn find(&self, labels: &mut Labels) -> Option<(u32, &T)> {
        let storage = self.storage.get()?;
        let key = labels.canonical();
        let (number, entry) = storage.find(storage.hash(key), key).ok()?;
        Some((number, &entry.value))
    }

    /// Returns the value of a set; `None` for an unknown number.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        Some(&self.storage.get()?.entry(number)?.value)
    }

    /// Returns the labels of a set; no labels for an unknown number.
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
            // At most half full, so that every search ends at a free slot.
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
        // The top bit keeps the high half from being 0, the mark of a free slot.
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        hasher.finish() | 1 << 63
    }

    /// Returns the entry, or the free slot of the index for it.
    #[inline]
    fn find(&self, hash: u64, key: &[u8]) -> Result<(u32, &Entry<T>), usize> {
        let place = hash as usize & (self.index.len() - 1);
        // The first slot nearly always holds the entry.
        match self.at(place, hash, key) {
            Some(found) => Ok(found),
            None => self.find_from(place, hash, key),
        }
    }

    /// Searches from slot `place` up to the next free slot.
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

    /// Returns the entry in slot `place` if it has this key. No hash matches a free slot.
    #[inline]
    fn at(&self, place: usize, hash: u64, key: &[u8]) -> Option<(u32, &Entry<T>)> {
        let found = self.index[place].load(Ordering::Acquire);
        if found >> 32 != hash >> 32 {
            return None;
        }
        let entry = self.entry(found as u32)?;
        (*entry.key == *key).then_some((found as u32, entry))
    }

    /// Creates an entry, or returns the entry that a set beyond the limit folds into.
    ///
    /// `make` runs before the lock is taken: it may call a recorder of the application, which may call this interner
    /// again.
    #[cold]
    #[inline(never)]
    fn create(&self, labels: &mut Labels, make: impl Fn(&Labels) -> T) -> Interned<'_, T> {
        if !self.is_full.load(Ordering::Relaxed) {
            let value = make(labels);
            if let Some(interned) = self.insert(labels, value, self.limit, false) {
                return interned;
            }
            self.is_full.store(true, Ordering::Relaxed);
        }
        // Folds the details first, so that the model keeps its name.
        let half = self.limit + RESERVE / 2;
        for (mut folded, limit) in [
            (labels.without_details(), half),
            (labels.overflowed(), self.limit + RESERVE),
        ] {
            let key = folded.canonical();
            if *key == *labels.canonical() && limit == half {
                continue; // The set has no details.
            }
            if let Ok((number, entry)) = self.find(self.hash(key), key) {
                return Interned {
                    number,
                    value: &entry.value,
                    is_overflow: true,
                };
            }
            if self.used.load(Ordering::Relaxed) < limit {
                let value = make(&folded);
                if let Some(interned) = self.insert(&mut folded, value, limit, true) {
                    return interned;
                }
            }
        }
        // The last entry, which is not in the index.
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
            is_overflow: true,
        }
    }

    /// Inserts an entry; `None` if `limit` is reached.
    fn insert(
        &self,
        labels: &mut Labels,
        value: T,
        limit: usize,
        is_overflow: bool,
    ) -> Option<Interned<'_, T>> {
        let key = labels.canonical();
        let hash = self.hash(key);
        let _guard = lock(&self.inserting);
        // Another thread may have inserted the set.
        let index = match self.find(hash, key) {
            Ok((number, entry)) => {
                return Some(Interned {
                    number,
                    value: &entry.value,
                    is_overflow,
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
            is_overflow,
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
    fn a_set_keeps_its_number() {
        let interner = Interner::new(10);
        let make = |labels: &Labels| labels.value(Label::ModelId).to_owned();
        let first = interner.resolve(&mut model("a"), make);
        assert!(!first.is_overflow);
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
            assert!(!interner.resolve(&mut model(id), |_| ()).is_overflow);
        }
        let folded = interner.resolve(&mut model("c"), |_| ());
        assert!(folded.is_overflow);
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
    fn sets_beyond_the_reserve_share_one_entry() {
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
