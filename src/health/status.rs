//! The statuses of checks and of the whole service.

use serde::{Serialize, Serializer};

use crate::runtime::named;

named! {
    /// The status of a result, of a group of checks, and of the whole service. A worse status is greater.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[non_exhaustive]
    pub enum HealthStatus {
        /// Works.
        Healthy = "healthy",
        /// Works with restrictions.
        Degraded = "degraded",
        /// Does not work.
        Unhealthy = "unhealthy",
    }
}

named! {
    /// The state of a check. A worse state is greater.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[non_exhaustive]
    pub enum CheckState {
        /// The last result is healthy.
        Healthy = "healthy",
        /// The check has no result yet.
        Pending = "pending",
        /// The last result is degraded.
        Degraded = "degraded",
        /// The last result is unhealthy, or there is no recent result.
        Unhealthy = "unhealthy",
    }
}

impl HealthStatus {
    /// Returns the value of the metric `observatory_health_status`.
    pub(super) const fn as_f64(self) -> f64 {
        match self {
            Self::Healthy => 1.0,
            Self::Degraded => 0.5,
            Self::Unhealthy => 0.0,
        }
    }
}

impl From<HealthStatus> for CheckState {
    fn from(status: HealthStatus) -> Self {
        match status {
            HealthStatus::Healthy => Self::Healthy,
            HealthStatus::Degraded => Self::Degraded,
            HealthStatus::Unhealthy => Self::Unhealthy,
        }
    }
}

impl CheckState {
    /// Returns the status of a state; `None` for a check without a result.
    pub(super) const fn status(self) -> Option<HealthStatus> {
        match self {
            Self::Healthy => Some(HealthStatus::Healthy),
            Self::Pending => None,
            Self::Degraded => Some(HealthStatus::Degraded),
            Self::Unhealthy => Some(HealthStatus::Unhealthy),
        }
    }
}

impl Serialize for HealthStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Serialize for CheckState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
