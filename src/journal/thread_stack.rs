//! The spans that the current thread is inside of.
//!
//! The stack is a const-initialised thread-local without a destructor, so it is valid until the end of the thread.

use std::cell::Cell;

use super::open_spans::NOWHERE;

/// The maximum depth; deeper spans count to the span at this depth.
const MAX_DEPTH: usize = 64;

pub(super) struct ThreadStack {
    depth: Cell<usize>,
    places: [Cell<u32>; MAX_DEPTH],
    /// The time since which the innermost span is the innermost.
    since: Cell<u64>,
    /// The journal whose spans the stack has: a process may have several.
    journal: Cell<usize>,
}

thread_local! {
    static STACK: ThreadStack = const {
        ThreadStack {
            depth: Cell::new(0),
            places: [const { Cell::new(NOWHERE) }; MAX_DEPTH],
            since: Cell::new(0),
            journal: Cell::new(0),
        }
    };
}

impl ThreadStack {
    /// Calls `with` with the stack of this thread for a journal.
    #[inline]
    pub(super) fn with<R>(journal: usize, with: impl FnOnce(&Self) -> R) -> R {
        STACK.with(|stack| {
            if stack.journal.get() != journal {
                stack.journal.set(journal);
                stack.depth.set(0);
            }
            with(stack)
        })
    }

    /// Returns the place of the innermost span, or [`NOWHERE`].
    #[inline]
    pub(super) fn innermost(&self) -> u32 {
        let depth = self.depth.get();
        match self.places.get(depth.wrapping_sub(1)) {
            Some(place) => place.get(),
            None => NOWHERE,
        }
    }

    /// Returns the time since which the innermost span is the innermost, and begins a new time.
    #[inline]
    pub(super) fn lap(&self, now: u64) -> u64 {
        now.saturating_sub(self.since.replace(now))
    }

    #[inline]
    pub(super) fn push(&self, place: u32) {
        let depth = self.depth.get();
        if let Some(top) = self.places.get(depth) {
            top.set(place);
        }
        self.depth.set(depth + 1);
    }

    /// Removes a span, which is the innermost unless guards are dropped in another order.
    #[inline]
    pub(super) fn pop(&self, place: u32) {
        let depth = self.depth.get();
        if depth == 0 {
            return;
        }
        self.depth.set(depth - 1);
        let places = self.places.get(..depth).unwrap_or_default();
        if places.last().is_some_and(|last| last.get() != place)
            && let Some(index) = places.iter().rposition(|own| own.get() == place)
        {
            for pair in places[index..].windows(2) {
                pair[0].set(pair[1].get());
            }
        }
    }
}
