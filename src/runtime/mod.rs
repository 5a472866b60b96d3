//! Runtime support that every area uses: clocks, the observatory's own threads, random numbers, and error texts.

pub(crate) mod clock;
pub(crate) mod error_text;
pub(crate) mod own_thread;
pub(crate) mod random;
