//! The machinery that every area stands on: clocks, threads of the observatory's own, random numbers, error texts.

pub(crate) mod clock;
pub(crate) mod error_text;
pub(crate) mod own_thread;
pub(crate) mod random;
