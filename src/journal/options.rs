//! Options of the journal.

use crate::settings::{Variable, boolean, variable};

/// Options of the journal of spans.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct JournalConfig {
    /// True if the journal measures the busy, idle and self time of spans. It reads the clock at each enter and exit of a
    /// span. Default: true; false in the presets `production` and `vps`.
    pub enabled: bool,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl JournalConfig {
    pub(crate) const VARIABLES: &[Variable<Self>] =
        &[variable!("OBSERVATORY_JOURNAL" => enabled, boolean)];
}
