//! Defines the options of live traces.

use std::time::Duration;

/// The options of live traces, which are kept in the process: [`Observatory::traces`](crate::Observatory::traces), and
/// `/api/observatory/traces`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LiveConfig {
    /// True if traces are kept in the process. Default: true if traces are enabled.
    pub enabled: bool,
    /// The maximum age of a trace. Default: 15 min.
    pub window: Duration,
    /// The memory limit in bytes. The oldest traces are evicted first, failed and slow traces after the others. Default:
    /// 8 MiB.
    pub bytes: usize,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            window: Duration::from_mins(15),
            bytes: 8 << 20,
        }
    }
}
