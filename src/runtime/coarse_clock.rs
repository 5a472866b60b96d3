//! A clock that a thread of the observatory advances, so that reading the clock costs a load.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

/// The time of the last [`advance`], in milliseconds since the first; never 0.
static NOW_MS: AtomicU64 = AtomicU64::new(1);
static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Returns the time of the last [`advance`], in milliseconds.
#[inline]
pub(crate) fn now_ms() -> u64 {
    NOW_MS.load(Relaxed)
}

/// Sets the clock to the current time, and returns the time in milliseconds. Concurrent calls do not set it back.
pub(crate) fn advance() -> u64 {
    let now = 1 + ORIGIN.elapsed().as_millis() as u64;
    NOW_MS.fetch_max(now, Relaxed);
    now
}
