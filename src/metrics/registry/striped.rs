//! Atomics that split into stripes per thread under contention.
//!
//! Two threads that write to the same cache line pay six times the cost of a single thread. Stripes in every series
//! would take a hundred times the memory, and nearly all series have a single writer at a time. A cell therefore starts
//! with a single part and counts failed compare-and-swaps; after [`MAX_MISSES`] failures it creates stripes, and each
//! thread writes to its own stripe.

use std::{
    cell::Cell,
    sync::{
        OnceLock,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

/// Failed compare-and-swaps before a cell creates stripes.
const MAX_MISSES: u32 = 64;
/// Number of stripes; more threads share stripes.
const STRIPES: usize = 8;

/// A value whose parts add up.
pub(crate) struct Striped<T> {
    base: T,
    misses: AtomicU32,
    stripes: OnceLock<Box<Stripes<T>>>,
}

/// A part for each thread, created with the thread's first write.
type Stripes<T> = [OnceLock<Box<Aligned<T>>>; STRIPES];

/// Aligns a stripe to two cache lines, because the prefetcher loads pairs of lines.
#[repr(align(128))]
struct Aligned<T>(T);

/// A part of a striped value.
pub(crate) trait Part {
    /// Returns a part of the same shape with the value 0.
    fn empty(&self) -> Self;
}

impl<T: Part> Striped<T> {
    pub(crate) fn new(base: T) -> Self {
        Self {
            base,
            misses: AtomicU32::new(0),
            stripes: OnceLock::new(),
        }
    }

    /// Returns the single part of a cell without stripes.
    #[inline]
    pub(crate) fn only(&self) -> Option<&T> {
        match self.stripes.get() {
            None => Some(&self.base),
            Some(_) => None,
        }
    }

    /// Returns the part of the current thread.
    #[inline]
    pub(crate) fn mine(&self) -> &T {
        match self.stripes.get() {
            None => &self.base,
            Some(stripes) => self.stripe(stripes),
        }
    }

    /// Returns all parts.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &T> {
        let stripes = self
            .stripes
            .get()
            .into_iter()
            .flat_map(|stripes| stripes.iter());
        std::iter::once(&self.base).chain(stripes.filter_map(OnceLock::get).map(|stripe| &stripe.0))
    }

    /// Counts a failed compare-and-swap, and creates stripes after too many.
    #[cold]
    #[inline(never)]
    pub(crate) fn missed(&self) {
        if self.misses.fetch_add(1, Relaxed) == MAX_MISSES {
            self.stripes
                .get_or_init(|| Box::new([const { OnceLock::new() }; STRIPES]));
        }
    }

    #[inline]
    fn stripe<'s>(&'s self, stripes: &'s Stripes<T>) -> &'s T {
        &stripes[number_of_thread() % STRIPES]
            .get_or_init(|| Box::new(Aligned(self.base.empty())))
            .0
    }
}

/// Returns the number of the current thread, in the order of the first calls.
#[inline]
fn number_of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! { static MINE: Cell<usize> = const { Cell::new(usize::MAX) } }
    MINE.with(|mine| {
        if mine.get() == usize::MAX {
            mine.set(NEXT.fetch_add(1, Relaxed));
        }
        mine.get()
    })
}

/// Adds to an integer. Returns `false` if another thread wrote at the same time; the value is added in both cases.
#[inline]
pub(crate) fn add(cell: &AtomicU64, value: u64) -> bool {
    let before = cell.load(Relaxed);
    if cell
        .compare_exchange(before, before.wrapping_add(value), Relaxed, Relaxed)
        .is_ok()
    {
        return true;
    }
    cell.fetch_add(value, Relaxed);
    false
}

/// Adds to the bits of an `f64`. Returns `false` if another thread wrote at the same time; the value is added in both
/// cases.
#[inline]
pub(crate) fn add_f64(cell: &AtomicU64, value: f64) -> bool {
    let mut before = cell.load(Relaxed);
    let mut is_alone = true;
    loop {
        let sum = (f64::from_bits(before) + value).to_bits();
        match cell.compare_exchange_weak(before, sum, Relaxed, Relaxed) {
            Ok(_) => return is_alone,
            Err(now) => {
                before = now;
                is_alone = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Part for AtomicU64 {
        fn empty(&self) -> Self {
            Self::new(0)
        }
    }

    #[test]
    fn a_cell_splits_after_too_many_misses_and_keeps_its_sum() {
        let cell = Striped::new(AtomicU64::new(0));
        for turn in 0..=u64::from(MAX_MISSES) {
            assert_eq!(cell.parts().count(), 1, "after {turn} misses");
            add(cell.mine(), 1);
            cell.missed();
        }
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| add(cell.mine(), 10));
            }
        });
        assert!(cell.parts().count() > 1);
        assert_eq!(
            cell.parts().map(|part| part.load(Relaxed)).sum::<u64>(),
            u64::from(MAX_MISSES) + 21
        );
    }
}
