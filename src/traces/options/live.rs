//! Traces that can be looked at in the process itself.

use std::time::Duration;

/// Traces that can be looked at in the process itself: [`Observatory::traces`](crate::Observatory::traces), and
/// `/api/observatory/traces`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveConfig {
    /// Whether any are kept. Default: true, where traces are on.
    pub enabled: bool,
    /// Age at which they go. Default: 15 min.
    pub window: Duration,
    /// Memory for them; above it the oldest go first, but failed and slow ones after the others. Default: 8 MiB.
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
