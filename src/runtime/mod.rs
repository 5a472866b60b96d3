//! Runtime support for every area: clocks, the observatory's own threads, random numbers, error texts, the handle of
//! the subscriber.

pub(crate) mod clock;
#[cfg(feature = "health")]
pub(crate) mod coarse_clock;
pub(crate) mod error_text;
mod lock;
mod named;
pub(crate) mod own_thread;
#[cfg(any(feature = "alerting", feature = "health", feature = "otlp"))]
pub(crate) mod random;
mod registered;
pub(crate) mod report_once;
pub(crate) mod thread_label;
#[cfg(any(feature = "alerting", feature = "otlp"))]
#[cfg_attr(
    not(feature = "alerting"),
    expect(dead_code, reason = "the live view of traces only converts times")
)]
pub(crate) mod unix_ms;

pub(crate) use self::{lock::lock, named::named, registered::Registered};
