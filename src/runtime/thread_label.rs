//! A number that the Layer attaches to the current thread, for samples of the thread's stack.
//!
//! A signal handler reads the label, so the label is a const-initialised thread-local without a destructor.

use std::cell::Cell;

thread_local! { static LABEL: Cell<u64> = const { Cell::new(0) } }

/// Returns the label of the current thread; 0 without a label. Async-signal-safe.
#[cfg(feature = "profiling")]
pub(crate) fn get() -> u64 {
    LABEL.get()
}

/// Sets the label of the current thread.
#[inline]
pub(crate) fn set(label: u64) {
    LABEL.set(label);
}
