//! Random numbers for sampling decisions and ids: cheap, lock-free, and seeded by the system for each thread.

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

/// Returns a seed from the keys of `RandomState`, which come from the system.
#[cold]
fn seed() -> u64 {
    std::hash::RandomState::new().hash_one(0_u64) | 1
}
