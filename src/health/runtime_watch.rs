//! The seam to the watchdog of the application's runtime.

use std::{collections::BTreeMap, time::Duration};

use super::HealthStatus;
use crate::observation::AttributeValue;

/// Watches the application's runtime from the observatory's own thread.
pub(crate) trait RuntimeWatch: Send + Sync {
    /// Returns the finding of the last tick. Called for each report, so it neither blocks nor measures.
    fn finding(&self) -> RuntimeFinding;
}

/// The state of the application's runtime.
#[derive(Clone, Debug)]
pub(crate) struct RuntimeFinding {
    /// Healthy, or degraded if a worker or a thread is blocked or starved.
    pub(crate) status: HealthStatus,
    /// The worker or the thread, the span, and the time.
    pub(crate) message: String,
    pub(crate) data: BTreeMap<String, AttributeValue>,
    /// The time for which the status has held.
    pub(crate) lasts: Duration,
    /// True if tasks may wait because the runtime is blocked or starved.
    pub(crate) is_blocked: bool,
    /// The time for which all workers have stood still.
    pub(crate) all_still_for: Option<Duration>,
}
