//! Reports workers and threads of the application's runtimes that do not make progress.
//!
//! A thread of the observatory reads on each tick the numbers that stable tokio exposes of each worker, and the slots in which
//! the Layer records the entered spans of each thread. Nothing runs on the application's runtime, so a blocked runtime cannot
//! delay the report, and the application needs neither `tokio_unstable` nor a heartbeat task.
//!
//! | Module | Content |
//! |---|---|
//! | `judge` | readings of a worker or a thread → [`Condition`]; pure |
//! | `observer` | readings of a tick → [`Finding`]s |
//! | `thread` | the thread, and the receivers of findings: log, metrics, hooks |
//!
//! Limits: a guard of a span that is held across an `.await` in the future of `block_on` looks like a block. A thread that
//! waits in `block_in_place` inside a span, on a worker whose polls enter no span, can pass for that worker until the worker's
//! numbers change for the first time. Before the first enter of a span, a thread has no slot and no name.

#[cfg(feature = "health")]
mod finding;
#[cfg(feature = "health")]
mod judge;
#[cfg(feature = "health")]
mod member;
#[cfg(feature = "health")]
mod observer;
mod options;
#[cfg(feature = "health")]
mod process_threads;
#[cfg(feature = "health")]
mod shared;
#[cfg(feature = "health")]
mod thread;

pub use self::options::WatchdogConfig;
#[cfg(feature = "health")]
pub use self::{
    finding::{Finding, FindingSpan},
    judge::Condition,
    shared::Watchdog,
};
#[cfg(feature = "health")]
pub(crate) use self::{shared::WatchdogParts, thread::WatchdogThread};
