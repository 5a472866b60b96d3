//! The spans that the current thread is inside of.
//!
//! The stack is a const-initialised thread-local without a destructor, so it is valid until the end of the thread. The
//! self time of a span gathers here, so that an enter changes nothing of the outer span.

use std::cell::Cell;

use super::open_spans::NOWHERE;

/// The maximum depth; the self time of deeper spans counts to the span at this depth.
const MAX_DEPTH: usize = 64;

/// A span that the thread is inside of.
struct Entry {
    id: Cell<u64>,
    /// The place of the span among the open spans, or [`NOWHERE`].
    place: Cell<u32>,
    label: Cell<u32>,
    /// The self time since the enter.
    own: Cell<u64>,
}

/// What a thread that exits a span knows about the span.
pub(super) struct Exited {
    pub(super) place: u32,
    /// The self time since the enter.
    pub(super) own: u64,
}

pub(super) struct ThreadStack {
    depth: Cell<usize>,
    entries: [Entry; MAX_DEPTH],
    /// The time since which the innermost span is the innermost.
    since: Cell<u64>,
    /// The journal whose spans the stack has: a process may have several.
    journal: Cell<usize>,
}

thread_local! {
    static STACK: ThreadStack = const {
        ThreadStack {
            depth: Cell::new(0),
            entries: [const { Entry::vacant() }; MAX_DEPTH],
            since: Cell::new(0),
            journal: Cell::new(0),
        }
    };
}

impl Entry {
    const fn vacant() -> Self {
        Self {
            id: Cell::new(0),
            place: Cell::new(NOWHERE),
            label: Cell::new(0),
            own: Cell::new(0),
        }
    }

    fn copy_from(&self, other: &Self) {
        self.id.set(other.id.get());
        self.place.set(other.place.get());
        self.label.set(other.label.get());
        self.own.set(other.own.get());
    }

    #[inline]
    fn exited(&self) -> Exited {
        Exited {
            place: self.place.get(),
            own: self.own.get(),
        }
    }
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

    #[inline]
    fn innermost(&self) -> Option<&Entry> {
        let depth = self.depth.get().min(MAX_DEPTH);
        self.entries.get(depth.wrapping_sub(1))
    }

    /// Returns the place of the innermost span, or [`NOWHERE`].
    #[inline]
    pub(super) fn place(&self) -> u32 {
        self.innermost().map_or(NOWHERE, |entry| entry.place.get())
    }

    /// Returns the label of the innermost span; 0 without a span.
    #[inline]
    pub(super) fn label(&self) -> u32 {
        self.innermost().map_or(0, |entry| entry.label.get())
    }

    /// Adds the time since the last enter or exit to the innermost span.
    #[inline]
    fn lap(&self, now: u64) {
        let lap = now.saturating_sub(self.since.replace(now));
        if let Some(entry) = self.innermost() {
            entry.own.set(entry.own.get() + lap);
        }
    }

    /// Adds a span that the thread enters.
    #[inline]
    pub(super) fn enter(&self, id: u64, place: u32, label: u32, now: u64) {
        self.lap(now);
        let depth = self.depth.get();
        if let Some(entry) = self.entries.get(depth) {
            entry.id.set(id);
            entry.place.set(place);
            entry.label.set(label);
            entry.own.set(0);
        }
        self.depth.set(depth + 1);
    }

    /// Removes a span that the thread exits; `None` if the span is deeper than the maximum, or was entered elsewhere.
    #[inline]
    pub(super) fn exit(&self, id: u64, now: u64) -> Option<Exited> {
        self.lap(now);
        let below = self.depth.get().wrapping_sub(1);
        match self.entries.get(below) {
            Some(entry) if entry.id.get() == id => {
                self.depth.set(below);
                Some(entry.exited())
            }
            _ => self.remove(id),
        }
    }

    /// Removes a span that is not the innermost: guards are dropped in another order, or the stack is deeper than the
    /// maximum.
    #[cold]
    fn remove(&self, id: u64) -> Option<Exited> {
        let depth = self.depth.get();
        let entries = self.entries.get(..depth.min(MAX_DEPTH))?;
        let found = entries.iter().rposition(|entry| entry.id.get() == id);
        let Some(index) = found else {
            if depth > MAX_DEPTH {
                self.depth.set(depth - 1);
            }
            return None;
        };
        let exited = entries[index].exited();
        for pair in entries[index..].windows(2) {
            pair[0].copy_from(&pair[1]);
        }
        if let Some(last) = entries.last() {
            last.copy_from(&Entry::vacant());
        }
        self.depth.set(depth - 1);
        Some(exited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the place and the self time of a span at its exit.
    fn exit(stack: &ThreadStack, id: u64, now: u64) -> Option<(u32, u64)> {
        let exited = stack.exit(id, now)?;
        Some((exited.place, exited.own))
    }

    #[test]
    fn the_innermost_span_gets_the_time_whatever_the_order_of_exits() {
        ThreadStack::with(usize::MAX, |stack| {
            assert_eq!((stack.place(), stack.label()), (NOWHERE, 0));
            stack.enter(11, 1, 101, 0);
            stack.enter(12, 2, 102, 10);
            stack.enter(13, 3, 103, 30);
            assert_eq!((stack.place(), stack.label()), (3, 103));
            assert_eq!(exit(stack, 12, 60), Some((2, 20)), "before the inner span");
            assert_eq!(stack.place(), 3);
            assert_eq!(exit(stack, 14, 70), None, "a span of another thread");
            assert_eq!(exit(stack, 13, 100), Some((3, 70)));
            assert_eq!(exit(stack, 11, 105), Some((1, 15)));
            assert_eq!(exit(stack, 11, 106), None, "an exit without an enter");
        });
    }

    #[test]
    fn spans_below_the_maximum_depth_leave_the_stack_as_it_was() {
        ThreadStack::with(usize::MAX - 1, |stack| {
            let deepest = MAX_DEPTH as u64 + 5;
            for id in 1..=deepest {
                stack.enter(id, id as u32, id as u32, id);
            }
            assert_eq!(stack.place(), MAX_DEPTH as u32);
            for id in (1..=deepest).rev() {
                let exited = exit(stack, id, deepest);
                assert_eq!(exited.is_some(), id <= MAX_DEPTH as u64, "{id}");
            }
            assert_eq!(stack.place(), NOWHERE);
        });
    }
}
