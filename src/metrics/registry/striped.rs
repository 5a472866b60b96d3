//! Atomics that split into per-thread stripes where threads contend for them, and only there.
//!
//! Two threads on one cache line pay six times what one pays. But a stripe per thread in every series
//! would cost a hundred times its memory, and nearly all series are written by one thread at a time. So a
//! cell starts as one; the failed compare-and-swaps, which are what contention is, are counted; after
//! [`PATIENCE`] of them the cell gets stripes, and each thread writes to its own from then on.

use std::{
    cell::Cell,
    sync::{
        OnceLock,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

/// Failed swaps before a cell gets stripes.
const PATIENCE: u32 = 64;
/// More threads than this share stripes, two by two.
const STRIPES: usize = 8;

/// A value in one or more parts whose sum is what counts.
pub(crate) struct Striped<T> {
    base: T,
    misses: AtomicU32,
    stripes: OnceLock<Box<Stripes<T>>>,
}

/// One for each thread, made when it first writes.
type Stripes<T> = [OnceLock<Box<Aligned<T>>>; STRIPES];

/// Keeps a stripe off its neighbours' cache lines (two lines: the prefetcher takes pairs).
#[repr(align(128))]
struct Aligned<T>(T);

/// What can be made anew at 0 for another stripe.
pub(crate) trait Part {
    /// An empty part of the same shape.
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

    /// The only part, as long as nobody contends for it.
    #[inline]
    pub(crate) fn only(&self) -> Option<&T> {
        match self.stripes.get() {
            None => Some(&self.base),
            Some(_) => None,
        }
    }

    /// The part that this thread writes to.
    #[inline]
    pub(crate) fn mine(&self) -> &T {
        match self.stripes.get() {
            None => &self.base,
            Some(stripes) => self.stripe(stripes),
        }
    }

    /// All parts.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &T> {
        let stripes = self
            .stripes
            .get()
            .into_iter()
            .flat_map(|stripes| stripes.iter());
        std::iter::once(&self.base).chain(stripes.filter_map(OnceLock::get).map(|stripe| &stripe.0))
    }

    /// A swap failed: somebody else writes here too.
    #[cold]
    #[inline(never)]
    pub(crate) fn missed(&self) {
        if self.misses.fetch_add(1, Relaxed) == PATIENCE {
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

/// Numbers threads in the order in which they first ask.
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

/// Adds to an integer. False if somebody else was there at the same time; it is added all the same.
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

/// Adds to the bits of an `f64`. False if somebody else was there at the same time; it is added all the same.
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
    fn a_cell_splits_after_its_patience_and_keeps_its_sum() {
        let cell = Striped::new(AtomicU64::new(0));
        for turn in 0..=u64::from(PATIENCE) {
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
            u64::from(PATIENCE) + 21
        );
    }
}
