//! Runs health checks in the background, and answers health questions from their last results.
//!
//! A check becomes a [`Check`]; [`Health`] registers it with a plan of its runs. The thread of the scheduler runs each
//! check in a loop of its own. Each outcome goes through a state machine (`state`), and the states of all checks become the
//! status of the service and of its groups (`aggregate`); both are pure. A result expires, so that a check which is not run
//! any more turns unhealthy.
//!
//! | Endpoint | Status 503 |
//! |---|---|
//! | `/health` | if a critical check is unhealthy |
//! | `/health/live` | if all workers of the application's runtime have stood still for `health.live_after` |
//! | `/health/ready` | if the application is not ready ([`Readiness`]), or if a critical check is pending or unhealthy |
//! | `/health/startup` | until the application is ready and each critical check has a result |
//! | `/health/<group>` | if a member of the group is unhealthy |
//!
//! Built-in checks (CPU, memory, disk, process, error rate, response time) never make the service unhealthy or not ready:
//! a load that they report would take all replicas out of service, one after another.

#[cfg(feature = "health")]
mod aggregate;
#[cfg(feature = "health")]
mod builtin;
#[cfg(feature = "health")]
mod check;
#[cfg(feature = "health")]
mod check_options;
#[cfg(feature = "health")]
mod check_thread;
mod dependency;
#[cfg(feature = "health")]
mod entry;
#[cfg(feature = "health")]
mod error;
#[cfg(feature = "health")]
mod history;
mod options;
#[cfg(feature = "health")]
mod plan;
#[cfg(feature = "health")]
mod readiness;
#[cfg(feature = "health")]
mod report;
#[cfg(feature = "health")]
mod result;
#[cfg(feature = "health")]
mod runner;
#[cfg(feature = "health")]
mod runtime_watch;
#[cfg(feature = "health")]
mod scheduler;
#[cfg(feature = "health")]
mod service;
#[cfg(feature = "health")]
mod shared;
#[cfg(feature = "health")]
mod state;
#[cfg(feature = "health")]
mod status;
mod target;
#[cfg(feature = "health")]
mod tasks;
mod thresholds;
mod watchdog;

#[cfg(feature = "health")]
pub(crate) use self::{
    builtin::BuiltInParts,
    scheduler::THREAD_NAME,
    service::HealthParts,
    watchdog::{WatchdogParts, WatchdogThread},
};
#[cfg(feature = "health")]
pub use self::{
    check::{Check, HealthCheck},
    check_options::CheckOptions,
    error::HealthError,
    history::HealthChange,
    readiness::{Readiness, ReadinessState},
    report::{CheckKind, CheckReport, HealthReport},
    result::CheckResult,
    service::Health,
    status::{CheckState, HealthStatus},
    watchdog::{Condition, Finding, FindingSpan, Watchdog},
};
pub use self::{
    dependency::{DependencyConfig, DependencyTarget},
    options::{HealthConfig, HealthDetails},
    thresholds::HealthThresholds,
    watchdog::WatchdogConfig,
};
