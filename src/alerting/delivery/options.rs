//! Defines the options of the delivery of notifications.

use std::{path::PathBuf, sync::Arc, time::Duration};

use crate::{
    alerting::{DispatchOptions, Routing, RoutingError, StoreError},
    net::Backoff,
    settings::setters,
};

/// The default time limit of an attempt. A notifier must complete or fail within this time.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// Returns the time in milliseconds since the epoch. The observatory's time follows the wall clock, without jumps;
/// tests replace it.
pub type TimeSource = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The options of [`Notifications::open`](super::Notifications::open).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NotificationOptions {
    /// The routes and receivers of alerts.
    pub routing: Routing,
    /// The directory of the persistent state; `None` for memory only. Default: memory only.
    pub data_dir: Option<PathBuf>,
    /// The limits and timing of the dispatcher.
    pub dispatch: DispatchOptions,
    /// The maximum number of records of the history. Default: 10,000.
    pub max_history: usize,
    /// The delays between attempts.
    pub(crate) backoff: Backoff,
    /// The time limit of an attempt, in addition to the limits of the notifier. The notifiers of this crate need at
    /// least the default: a notification that is cut off may be delivered twice. Default: 30 s.
    pub attempt_timeout: Duration,
    /// The time for notifications in flight when the observatory stops. Default: 5 s.
    pub shutdown_timeout: Duration,
}

/// An error of [`Notifications::open`](super::Notifications::open).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The routing is invalid.
    #[error(transparent)]
    Routing(#[from] RoutingError),
    /// The store is in use by another process.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl NotificationOptions {
    /// Creates the default options for a routing.
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

    setters! {
        /// Sets the directory of the persistent state.
        with_data_dir(directory: impl Into<PathBuf>) { self.data_dir = Some(directory.into()) }

        /// Sets the options of the dispatcher.
        with_dispatch(dispatch: DispatchOptions) { self.dispatch = dispatch }

        /// Sets the maximum number of records of the history.
        with_max_history(records: usize) { self.max_history = records }
    }

    /// Sets the time limit of an attempt, and the time for notifications in flight when the observatory stops.
    #[must_use]
    pub fn with_timeouts(mut self, attempt: Duration, shutdown: Duration) -> Self {
        (self.attempt_timeout, self.shutdown_timeout) = (attempt, shutdown);
        self
    }
}
