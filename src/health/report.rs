//! The reports of health: the whole, a group, a check.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use serde::{Serialize, Serializer};

use super::{CheckState, HealthStatus};
use crate::{observation::AttributeValue, runtime::named};

/// The health of the service, or of a group of checks, at one time.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HealthReport {
    /// The group; `None` for the whole service.
    pub group: Option<String>,
    /// The status.
    pub status: HealthStatus,
    /// The check that decided the status, or `readiness`; `None` if the status is healthy.
    pub decided_by: Option<String>,
    /// The message of that check.
    pub message: String,
    /// The checks of the group, or all checks, by name.
    pub checks: Vec<CheckReport>,
}

/// The state of one check.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CheckReport {
    /// The name.
    pub name: String,
    /// The origin of the check.
    pub kind: CheckKind,
    /// True if the service is unhealthy and not ready without it.
    pub critical: bool,
    /// The state.
    pub status: CheckState,
    /// The reason of the state.
    pub message: String,
    /// The values that the last run measured.
    #[serde(serialize_with = "data")]
    pub data: BTreeMap<String, AttributeValue>,
    /// The beginning of the state.
    #[serde(serialize_with = "time")]
    pub since: SystemTime,
    /// The time since the last result.
    #[serde(rename = "age_seconds", serialize_with = "optional_seconds")]
    pub age: Option<Duration>,
    /// The duration of the last run, retries included.
    #[serde(rename = "duration_seconds", serialize_with = "optional_seconds")]
    pub duration: Option<Duration>,
    /// The end of the last run that did not fail.
    #[serde(serialize_with = "optional_time")]
    pub last_success: Option<SystemTime>,
    /// Failed runs in a row.
    pub consecutive_failures: u32,
    /// True if the last result has expired, or if a first result is overdue.
    pub stale: bool,
    /// True if the last run could not take place.
    #[serde(skip)]
    pub(super) is_not_run: bool,
}

named! {
    /// The origin of a check.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum CheckKind {
        /// Registered by the application.
        Check = "check",
        /// Another service, configured or registered as a dependency.
        Dependency = "dependency",
        /// Built in.
        BuiltIn = "built_in",
        /// The watchdog of the application's runtime.
        Watchdog = "watchdog",
    }
}

impl Serialize for CheckKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Formats a time as RFC 3339 in UTC, with milliseconds.
pub(super) fn rfc3339(time: SystemTime) -> String {
    // The formatter of humantime fails for times before the epoch and after the year 9999.
    let is_valid = time.duration_since(SystemTime::UNIX_EPOCH).is_ok();
    let time = if is_valid {
        time
    } else {
        SystemTime::UNIX_EPOCH
    };
    humantime::format_rfc3339_millis(time).to_string()
}

fn time<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*time))
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn optional_time<S: Serializer>(
    time: &Option<SystemTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(rfc3339).serialize(serializer)
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn optional_seconds<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    // Microseconds: more digits are noise.
    let seconds = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e6;
    duration.map(seconds).serialize(serializer)
}

fn data<S: Serializer>(
    data: &BTreeMap<String, AttributeValue>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(data.iter().map(|(name, value)| (name, json(value))))
}

/// Converts a measured value to JSON; a number that JSON cannot hold becomes null.
pub(super) fn json(value: &AttributeValue) -> serde_json::Value {
    match value {
        AttributeValue::Bool(value) => (*value).into(),
        AttributeValue::Integer(value) => (*value).into(),
        AttributeValue::Number(value) => (*value).into(),
        AttributeValue::Text(value) => value.as_str().into(),
    }
}
