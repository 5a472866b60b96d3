//! Provides the machinery below every area: clocks, time stamps, threads, random numbers, error texts.

pub(crate) mod clock;
pub(crate) mod error_text;
pub(crate) mod own_thread;
pub(crate) mod random;
#[cfg(feature = "alerting")]
pub(crate) mod report_once;
#[cfg(feature = "alerting")]
pub(crate) mod unix_ms;
