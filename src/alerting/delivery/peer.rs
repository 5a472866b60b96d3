//! Alerts for one Alertmanager, as Prometheus sends them: every peer gets every alert, each from its own queue.
//!
//! A newer word about an alert replaces an older one that has not been sent. Nothing of this is in the outbox: the
//! rules send every alert again each minute.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use super::{
    PeerCounts,
    lane::{longest, random},
};
use crate::alerting::{Alert, AlertmanagerPeer, Backoff};

/// Prometheus: alerts in one request.
const BATCH: usize = 64;
/// Prometheus: `--alertmanager.notification-queue-capacity=10000`.
const CAPACITY: usize = 10_000;

/// What one Alertmanager has yet to hear.
#[derive(Debug)]
pub(super) struct PeerQueue {
    peer: AlertmanagerPeer,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    alerts: BTreeMap<u64, Arc<Alert>>,
    counts: PeerCounts,
    is_closed: bool,
}

impl PeerQueue {
    pub(super) fn new(peer: AlertmanagerPeer) -> Self {
        Self {
            peer,
            state: Mutex::default(),
            wake: Notify::new(),
        }
    }

    pub(super) fn name(&self) -> &str {
        self.peer.name()
    }

    pub(super) fn counts(&self) -> PeerCounts {
        self.state().counts.clone()
    }

    pub(super) fn put(&self, alerts: &[Arc<Alert>]) {
        let mut state = self.state();
        for alert in alerts {
            let fingerprint = alert.fingerprint();
            if state.alerts.len() >= CAPACITY && !state.alerts.contains_key(&fingerprint) {
                state.counts.dropped += 1;
            } else {
                state.alerts.insert(fingerprint, Arc::clone(alert));
            }
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Undoes [`PeerQueue::close`], for a runner that starts after another has ended.
    pub(super) fn open(&self) {
        self.state().is_closed = false;
    }

    /// Lets the task end once the queue is empty or its peer fails.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.wake.notify_one();
    }

    pub(super) async fn run(self: Arc<Self>, backoff: Backoff) {
        let mut failures = 0;
        loop {
            let Some(batch) = self.next().await else {
                return;
            };
            let wait = match self.peer.post(&batch).await {
                Ok(_) => {
                    failures = 0;
                    self.state().counts.sent += batch.len() as u64;
                    continue;
                }
                Err(error) if error.is_retryable => {
                    failures += 1;
                    self.put_back(batch);
                    longest(backoff.wait(failures, random()), error.retry_after)
                }
                Err(error) => {
                    tracing::warn!(peer = self.name(), %error, "an Alertmanager refuses alerts");
                    let mut state = self.state();
                    state.counts.refused += batch.len() as u64;
                    state.counts.failed_requests += 1;
                    Duration::ZERO
                }
            };
            if self.state().is_closed {
                return;
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// The next alerts to send; `None` when there will be none.
    async fn next(&self) -> Option<Vec<Arc<Alert>>> {
        loop {
            let batch = self.take();
            if !batch.is_empty() {
                return Some(batch);
            }
            if self.state().is_closed {
                return None;
            }
            self.wake.notified().await;
        }
    }

    fn take(&self) -> Vec<Arc<Alert>> {
        let mut state = self.state();
        let batch = std::iter::from_fn(|| state.alerts.pop_first());
        batch.take(BATCH).map(|(_, alert)| alert).collect()
    }

    /// What failed comes back, unless there is a newer word.
    fn put_back(&self, batch: Vec<Arc<Alert>>) {
        let mut state = self.state();
        state.counts.failed_requests += 1;
        for alert in batch {
            state.alerts.entry(alert.fingerprint()).or_insert(alert);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
