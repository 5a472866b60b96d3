//! Sends alerts to external Alertmanagers, as Prometheus does: each peer gets every alert from its own queue.
//!
//! A newer version of an alert replaces a queued version. The queues are not persistent, because the rules send every
//! alert again each minute.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::sync::Notify;

use super::{PeerCounts, address::Address, address_worker::retry_delay};
use crate::{
    alerting::{Alert, AlertmanagerPeer, Notifier},
    net::Backoff,
    runtime::{lock, random::random_unit},
};

/// The maximum number of alerts in a request: Prometheus's value.
const MAX_BATCH_ALERTS: usize = 64;
/// The maximum number of queued alerts: Prometheus's `--alertmanager.notification-queue-capacity=10000`.
const MAX_QUEUED_ALERTS: usize = 10_000;

/// The queue of an Alertmanager.
#[derive(Debug)]
pub(super) struct PeerQueue {
    peer: Arc<AlertmanagerPeer>,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The latest version of each queued alert, by fingerprint.
    alerts: BTreeMap<u64, Arc<Alert>>,
    counts: PeerCounts,
    is_closed: bool,
}

impl PeerQueue {
    pub(super) fn new(peer: AlertmanagerPeer) -> Self {
        Self {
            peer: Arc::new(peer),
            state: Mutex::default(),
            wake: Notify::new(),
        }
    }

    pub(super) fn name(&self) -> &str {
        self.peer.name()
    }

    /// The address of a test message, whose attempts do not pass the queue.
    pub(super) fn test_address(&self) -> Address {
        let notifier: Arc<dyn Notifier> = Arc::clone(&self.peer) as _;
        Address::new(self.name(), 0, &notifier, false)
    }

    pub(super) fn counts(&self) -> PeerCounts {
        self.state().counts.clone()
    }

    /// Queues alerts; a full queue drops alerts that it does not hold yet.
    pub(super) fn put(&self, alerts: &[Arc<Alert>]) {
        let mut state = self.state();
        for alert in alerts {
            let fingerprint = alert.fingerprint();
            if state.alerts.len() >= MAX_QUEUED_ALERTS && !state.alerts.contains_key(&fingerprint) {
                state.counts.dropped += 1;
            } else {
                state.alerts.insert(fingerprint, Arc::clone(alert));
            }
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Moves the queued alerts by a step of the wall clock.
    pub(super) fn shift(&self, by_ms: i64) {
        let mut state = self.state();
        let alerts = state.alerts.values_mut();
        alerts.for_each(|alert| Arc::make_mut(alert).shift(by_ms));
    }

    /// Opens a closed queue for a new runner.
    pub(super) fn open(&self) {
        self.state().is_closed = false;
    }

    /// Ends [`PeerQueue::run`] once the queue is empty or a request fails.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.wake.notify_one();
    }

    /// Sends queued alerts until the queue is closed.
    pub(super) async fn run(self: Arc<Self>, backoff: Backoff) {
        let mut failures = 0;
        loop {
            let Some(batch) = self.next_batch().await else {
                return;
            };
            let delay = match self.peer.post(&batch).await {
                Ok(_) => {
                    failures = 0;
                    self.state().counts.sent += batch.len() as u64;
                    continue;
                }
                Err(error) if error.is_retryable => {
                    failures += 1;
                    self.requeue(batch);
                    retry_delay(backoff.wait(failures, random_unit()), error.retry_after)
                }
                Err(error) => {
                    tracing::warn!(peer = self.name(), %error, "an Alertmanager rejected alerts");
                    let mut state = self.state();
                    state.counts.refused += batch.len() as u64;
                    state.counts.failed_requests += 1;
                    Duration::ZERO
                }
            };
            if self.state().is_closed {
                return;
            }
            tokio::time::sleep(delay).await;
        }
    }

    /// Waits for the next alerts to send; `None` once the queue is closed and empty.
    async fn next_batch(&self) -> Option<Vec<Arc<Alert>>> {
        loop {
            let batch = self.take_batch();
            if !batch.is_empty() {
                return Some(batch);
            }
            if self.state().is_closed {
                return None;
            }
            self.wake.notified().await;
        }
    }

    fn take_batch(&self) -> Vec<Arc<Alert>> {
        let mut state = self.state();
        let alerts = std::iter::from_fn(|| state.alerts.pop_first());
        alerts
            .take(MAX_BATCH_ALERTS)
            .map(|(_, alert)| alert)
            .collect()
    }

    /// Queues the alerts of a failed request again, except alerts with a newer version in the queue.
    fn requeue(&self, batch: Vec<Arc<Alert>>) {
        let mut state = self.state();
        state.counts.failed_requests += 1;
        for alert in batch {
            state.alerts.entry(alert.fingerprint()).or_insert(alert);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}
