//! Options of the system sampler and of the health report.

use crate::settings::{Variable, boolean, text, variable};

/// Options of the health report and of the system sampler.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HealthConfig {
    /// True if the process and the machine are sampled. Default: true if the feature `health` is compiled in.
    pub enabled: bool,
    /// Path of the health report. Default: `/health`.
    pub endpoint: String,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            enabled: cfg!(feature = "health"),
            endpoint: "/health".to_owned(),
        }
    }
}

impl HealthConfig {
    pub(crate) const VARIABLES: &[Variable<Self>] = &[
        variable!("HEALTH_CHECK_ENABLED" => enabled, boolean),
        variable!("HEALTH_ENDPOINT" => endpoint, text),
    ];
}
