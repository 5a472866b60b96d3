//! How notifications are sent.

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::alerting::{Backoff, DispatchOptions, Routing, RoutingError, StoreError};

/// Time for one attempt, where nobody says. A notifier must have done its work, or given up, before that.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// Tells the wall clock, in milliseconds since the epoch. A test gives its own.
pub type TimeSource = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What [`Notifications::open`](super::Notifications::open) needs to know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NotificationOptions {
    /// Where alerts go.
    pub routing: Routing,
    /// Where state is kept; `None` for memory only. Default: memory.
    pub data_dir: Option<PathBuf>,
    /// Limits, damping and times of the dispatcher.
    pub dispatch: DispatchOptions,
    /// Alerts that the history remembers. Default: 10,000.
    pub max_history: usize,
    /// How long to wait between attempts.
    pub backoff: Backoff,
    /// Time for one attempt, whatever the notifier's own is. The channels of the crate are made for no less than the
    /// default: what is cut off may come twice. Default: 30 s.
    pub attempt_timeout: Duration,
    /// Time that is left for what is under way when the observatory stops. Default: 5 s.
    pub shutdown_timeout: Duration,
}

/// Why notifications cannot be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The routing is wrong.
    #[error(transparent)]
    Routing(#[from] RoutingError),
    /// The store is in use.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl NotificationOptions {
    /// The defaults, for this routing.
    #[must_use]
    pub fn new(routing: Routing) -> Self {
        Self {
            routing,
            data_dir: None,
            dispatch: DispatchOptions::default(),
            max_history: 10_000,
            backoff: Backoff::default(),
            attempt_timeout: ATTEMPT_TIMEOUT,
            shutdown_timeout: Duration::from_secs(5),
        }
    }

    /// Keeps state in this directory.
    #[must_use]
    pub fn with_data_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(directory.into());
        self
    }

    /// Sets the dispatcher's options.
    #[must_use]
    pub fn with_dispatch(mut self, dispatch: DispatchOptions) -> Self {
        self.dispatch = dispatch;
        self
    }

    /// Sets how many alerts the history remembers.
    #[must_use]
    pub fn with_max_history(mut self, alerts: usize) -> Self {
        self.max_history = alerts;
        self
    }

    /// Sets how long to wait between attempts.
    #[must_use]
    pub fn with_backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets the time for one attempt and the time that a shutdown may take.
    #[must_use]
    pub fn with_timeouts(mut self, attempt: Duration, shutdown: Duration) -> Self {
        (self.attempt_timeout, self.shutdown_timeout) = (attempt, shutdown);
        self
    }
}
