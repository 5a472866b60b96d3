//! The results of checks.

use std::{collections::BTreeMap, fmt::Display};

use super::HealthStatus;
use crate::observation::AttributeValue;

/// The result of one attempt of a check.
///
/// ```
/// use llm_observatory::health::CheckResult;
///
/// let result = CheckResult::degraded("3 of 4 replicas answer").with_data("replicas", 3);
/// let result: CheckResult = Err::<(), _>("connection refused").into(); // unhealthy
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CheckResult {
    /// The status.
    pub status: HealthStatus,
    /// The reason of the status, for people.
    pub message: String,
    /// Measured values.
    pub data: BTreeMap<String, AttributeValue>,
}

impl CheckResult {
    /// Creates a result.
    pub fn new(status: HealthStatus, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            data: BTreeMap::new(),
        }
    }

    /// Creates a healthy result.
    pub fn healthy(message: impl Into<String>) -> Self {
        Self::new(HealthStatus::Healthy, message)
    }

    /// Creates a degraded result.
    pub fn degraded(message: impl Into<String>) -> Self {
        Self::new(HealthStatus::Degraded, message)
    }

    /// Creates an unhealthy result.
    pub fn unhealthy(message: impl Into<String>) -> Self {
        Self::new(HealthStatus::Unhealthy, message)
    }

    /// Adds a measured value.
    #[must_use]
    pub fn with_data(mut self, name: impl Into<String>, value: impl Into<AttributeValue>) -> Self {
        self.data.insert(name.into(), value.into());
        self
    }
}

impl From<HealthStatus> for CheckResult {
    fn from(status: HealthStatus) -> Self {
        Self::new(status, "")
    }
}

/// `Ok` is healthy, and an error is unhealthy with the error's text.
impl<E: Display> From<Result<(), E>> for CheckResult {
    fn from(result: Result<(), E>) -> Self {
        match result {
            Ok(()) => Self::healthy(""),
            Err(error) => Self::unhealthy(error.to_string()),
        }
    }
}

/// An error is unhealthy with the error's text.
impl<E: Display> From<Result<CheckResult, E>> for CheckResult {
    fn from(result: Result<CheckResult, E>) -> Self {
        result.unwrap_or_else(|error| Self::unhealthy(error.to_string()))
    }
}
