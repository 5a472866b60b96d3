//! Waits until changes are on the disk.
//!
//! The runner writes the changes in batches, one transaction per batch. A caller notes the number of the next batch,
//! which contains every change up to now, and waits until the runner has written that batch.

use super::{Notifications, handle::Shared};
use crate::runtime::lock;

/// The reason why a change is in effect but not on the disk: a crash or a restart loses the change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotDurable {
    /// No data directory is configured.
    #[error(
        "alert state is in memory only, because no data directory is configured: set alerting.data_dir (OBSERVATORY_DATA_DIR)"
    )]
    NoDataDirectory,
    /// The data directory cannot be written.
    #[error("alert state is in memory only until the data directory can be written again: {0}")]
    Disk(String),
    /// Alerting is off or stopped, so no thread writes changes.
    #[error("alert state is not written, because alerting does not run")]
    Stopped,
}

/// The progress of the runner.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The last batch that was written, or that the store kept in memory after a failure of the disk.
    batch: u64,
    /// The last batch that is on the disk, with all batches before it.
    durable: u64,
    is_stopped: bool,
}

impl Notifications {
    /// Waits until every change that was made before the call is on the disk. The runner writes the changes of
    /// concurrent calls in one transaction.
    ///
    /// Waits for the runner if the runner has not started yet. Needs no runtime.
    ///
    /// # Errors
    /// If the changes are in effect, but a crash or a restart would lose them.
    pub async fn flush(&self) -> Result<(), NotDurable> {
        if !self.is_persistent() {
            return Err(NotDurable::NoDataDirectory);
        }
        let mut progress = self.shared.progress.subscribe();
        let next = self.shared.core().batches + 1;
        self.shared.wake.notify_one();
        let waited = progress.wait_for(|progress| progress.batch >= next || progress.is_stopped);
        match waited.await {
            Ok(progress) if progress.durable >= next => Ok(()),
            Ok(progress) if progress.batch >= next => {
                let problem = self.shared.store_health.problem();
                Err(NotDurable::Disk(problem.unwrap_or_default()))
            }
            Ok(_) | Err(_) => Err(NotDurable::Stopped),
        }
    }

    /// Returns whether a data directory is configured.
    pub(crate) fn is_persistent(&self) -> bool {
        self.shared.is_persistent()
    }
}

impl Shared {
    /// Logs once the records that were lost before the start, once that the state is in memory only, and once that the
    /// state is on the disk again. Does nothing before a subscriber is installed.
    pub(super) fn report_store(&self) {
        if !tracing::dispatcher::has_been_set() {
            return;
        }
        for loss in std::mem::take(&mut *lock(&self.losses)) {
            tracing::error!("{loss}");
        }
        let problem = self.store_health.problem();
        let is_reported = self.store_health.set_reported(problem.is_some());
        match (problem, is_reported) {
            (Some(problem), false) => tracing::warn!(
                problem,
                "alert state is in memory only: a crash or a restart loses silences, acknowledgements, raised alerts, undelivered notifications and the history; make the directory writable, or set alerting.data_dir (OBSERVATORY_DATA_DIR) to another directory; the write is retried every minute"
            ),
            (None, true) => tracing::info!("the complete alert state is on the disk again"),
            (Some(_), true) | (None, false) => {}
        }
    }

    /// Logs the notifications and groups that the end of the runner leaves, and where they are kept.
    pub(super) fn report_remaining(&self) {
        let (core, now) = self.core_now();
        let (notifications, groups) = (core.outbox.len(), core.dispatcher.waiting_groups(now));
        drop(core);
        if notifications + groups == 0 {
            return;
        }
        let remaining = format!(
            "alerting stops with {notifications} notifications that no receiver has accepted and {groups} groups of alerts that \
             no receiver was notified of"
        );
        match (self.data_dir(), self.store_health.problem()) {
            (Some(directory), None) => tracing::warn!(
                "{remaining}; {} keeps them until the next start",
                directory.display()
            ),
            (Some(_), Some(problem)) => tracing::error!("{remaining}; they are lost: {problem}"),
            (None, _) => tracing::error!(
                "{remaining}; they are lost, since no data directory is configured: set alerting.data_dir \
                 (OBSERVATORY_DATA_DIR)"
            ),
        }
    }

    /// Tells the callers of [`Notifications::flush`] that the runner writes changes, or that it has ended.
    pub(super) fn set_stopped(&self, is_stopped: bool) {
        self.progress
            .send_modify(|progress| progress.is_stopped = is_stopped);
    }

    /// Tells the callers of [`Notifications::flush`] that every batch so far was written.
    pub(super) fn publish_written(&self) {
        let batch = self.core().batches;
        let is_on_disk = !self.store_health.is_degraded() && !self.store_health.is_closed();
        self.progress.send_modify(|progress| {
            progress.batch = batch;
            if is_on_disk {
                progress.durable = batch;
            }
        });
    }
}
