//! The mark on the observatory's own threads, by which the Layer knows not to observe them.
//!
//! A scoped dispatcher, even one that does nothing, would take tracing's fast path from the whole process.

use std::cell::Cell;

thread_local! { static IS_OWN: Cell<bool> = const { Cell::new(false) } }

/// Marks this thread as the observatory's own, for the rest of its life.
pub(crate) fn mark() {
    IS_OWN.set(true);
}

/// Whether this thread is the observatory's own.
#[inline]
pub(crate) fn is_marked() -> bool {
    IS_OWN.get()
}
