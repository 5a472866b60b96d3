//! Generates random numbers for sampling, span ids and jitter: a fast generator per thread, without a lock.
//!
//! Sampling decisions and span ids run on the hot path of the application, so this generator does not call the
//! operating system for each number. UUIDs come from the `uuid` crate.

use std::{cell::Cell, hash::BuildHasher as _};

thread_local! { static STATE: Cell<u64> = const { Cell::new(0) } }

/// Returns a random number (splitmix64).
#[inline]
pub(crate) fn random() -> u64 {
    STATE.with(|state| {
        let mut next = match state.get() {
            0 => seed(),
            before => before.wrapping_add(0x9E37_79B9_7F4A_7C15),
        };
        state.set(next);
        next = (next ^ (next >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        next = (next ^ (next >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        next ^ (next >> 31)
    })
}

/// Returns a random number of the range `0.0..1.0`.
#[cfg(any(feature = "alerting", feature = "health"))]
pub(crate) fn random_unit() -> f64 {
    // The 53 bits of a double's significand.
    (random() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Returns a seed from the operating system's random numbers: `RandomState` draws its keys from them.
#[cold]
fn seed() -> u64 {
    std::hash::RandomState::new().hash_one(0_u64) | 1
}
