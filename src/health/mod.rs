//! Runs health checks in the background, and answers health questions from their last results.

mod options;
#[cfg(feature = "health")]
mod tasks;
mod watchdog;

#[cfg(feature = "health")]
pub use self::watchdog::{Condition, Finding, FindingSpan, Watchdog};
pub use self::{options::HealthConfig, watchdog::WatchdogConfig};
#[cfg(feature = "health")]
pub(crate) use self::{
    tasks::tasks,
    watchdog::{WatchdogParts, WatchdogThread},
};
