//! The one future that does the work.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    task::{JoinSet, spawn_blocking},
    time::{Instant, sleep, sleep_until},
};

use super::{
    NotificationOptions,
    handle::Shared,
    lane::{Lane, Settled},
};
use crate::alerting::{
    FailureClass, Notification, NotifyError,
    outbox::{Store, Write},
};

/// The longest sleep: the wall clock may be set, and a machine may be suspended.
const MAX_SLEEP_MS: i64 = 5_000;
/// Time between two tries to write to a disk that failed.
const RECOVERY_INTERVAL_MS: i64 = 60_000;
/// Time that a shutdown keeps for the last transaction.
const LAST_WRITE: Duration = Duration::from_millis(500);
/// Settled notifications that wait for the runner at most; a lane waits when there are more.
const MAX_SETTLED: usize = 1_024;

/// Sends notifications until it is told to stop.
pub struct Runner {
    shared: Arc<Shared>,
    options: NotificationOptions,
    next_recovery: i64,
}

type Lanes = HashMap<(String, u16), mpsc::Sender<Arc<Notification>>>;

impl Runner {
    pub(super) fn new(shared: Arc<Shared>, options: NotificationOptions) -> Self {
        Self {
            shared,
            options,
            next_recovery: i64::MIN,
        }
    }

    /// Runs until `shutdown` resolves, then for as long as the shutdown may take, and no longer than until the
    /// moment that it resolves to, if it names one. What is not accepted by then is in the outbox for the next start.
    ///
    /// Needs a tokio runtime with time and I/O; a current-thread one will do. The store is written on the runtime's
    /// blocking threads.
    ///
    /// From its end until another runner begins, the file is free for another process.
    pub async fn run(mut self, shutdown: impl Future<Output = Option<std::time::Instant>>) {
        let mut tasks = JoinSet::new();
        let (settled, mut results) = mpsc::channel(MAX_SETTLED);
        let lanes = self.start_lanes(&mut tasks, settled);
        for peer in &self.shared.peers {
            peer.open();
            tasks.spawn(Arc::clone(peer).run(self.options.backoff.clone()));
        }
        if self.shared.store_health.is_closed() {
            self.recover(Vec::new()).await;
        }
        let waiting: Vec<Arc<Notification>> = {
            let core = self.shared.core();
            let mut waiting: Vec<_> = core.outbox.values().cloned().collect();
            waiting.sort_by_key(|notification| notification.id);
            waiting
        };
        self.hand_out(&lanes, &waiting);
        let mut shutdown = std::pin::pin!(shutdown);
        let deadline = loop {
            self.round(&lanes).await;
            tokio::select! {
                biased;
                deadline = &mut shutdown => break deadline,
                Some(settled) = results.recv() => self.settle_all(&settled, &mut results),
                () = self.shared.wake.notified() => {}
                () = sleep(self.until_next()) => {}
            }
        };
        let latest = Instant::now() + self.options.shutdown_timeout;
        let end = deadline.map_or(latest, |end| Instant::from_std(end).min(latest));
        self.stop(lanes, tasks, results, end).await;
    }

    fn start_lanes(&self, tasks: &mut JoinSet<()>, settled: mpsc::Sender<Settled>) -> Lanes {
        let mut lanes = Lanes::new();
        // At most one notification of each group is under way to an address.
        let capacity = self.options.dispatch.max_groups.saturating_add(1);
        for (name, channel) in &self.shared.channels {
            for (index, notifier) in (0u16..).zip(&channel.notifiers) {
                let (sender, incoming) = mpsc::channel(capacity);
                let lane = Lane {
                    notifier: Arc::clone(notifier),
                    time: Arc::clone(&self.shared.time),
                    backoff: self.options.backoff.clone(),
                    attempt_timeout: self.options.attempt_timeout,
                    incoming,
                    settled: settled.clone(),
                };
                tasks.spawn(lane.run());
                lanes.insert((name.clone(), index), sender);
            }
        }
        // The last lane to end closes the results.
        drop(settled);
        lanes
    }

    /// Decides, writes down, and only then sends.
    async fn round(&mut self, lanes: &Lanes) {
        let now = (self.shared.time)();
        let round = self.shared.core().round(now);
        self.write(round.writes, now).await;
        self.hand_out(lanes, &round.notifications);
    }

    async fn write(&mut self, writes: Vec<Write>, now: i64) {
        let is_degraded = self.shared.store_health.is_degraded();
        if is_degraded && now >= self.next_recovery {
            self.next_recovery = now.saturating_add(RECOVERY_INTERVAL_MS);
            self.recover(writes).await;
        } else if !writes.is_empty() {
            self.blocking(move |shared| {
                if let Err(error) = shared.with_store(|store| store.commit(&writes)) {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "alert state is kept in memory only: a crash would forget it"
                    );
                }
            })
            .await;
        }
    }

    /// Opens the file again and writes everything anew; the round's own writes are in what everything is made of.
    async fn recover(&self, writes: Vec<Write>) {
        let everything = self.shared.core().everything();
        let mut all = writes;
        all.extend(everything);
        self.blocking(move |shared| {
            match shared.with_store(|store| store.recover(&all)) {
                Ok(silences) => {
                    shared.core().dispatcher.adopt_silences(silences);
                    tracing::info!("alert state is on disk again");
                }
                // Tried again each minute: no news for the log.
                Err(error) => tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "alert state is still kept in memory only"
                ),
            }
        })
        .await;
    }

    /// The disk may take its time; the other channels' answers must not wait for it on this thread.
    async fn blocking(&self, work: impl FnOnce(&Shared) + Send + 'static) {
        let shared = Arc::clone(&self.shared);
        let done = spawn_blocking(move || work(&shared));
        if let Err(error) = done.await {
            tracing::error!(%error, "writing alert state failed");
        }
    }

    fn hand_out(&self, lanes: &Lanes, notifications: &[Arc<Notification>]) {
        for notification in notifications {
            let key = (notification.channel.clone(), notification.address);
            let problem = match lanes.get(&key) {
                Some(lane) => match lane.try_send(Arc::clone(notification)) {
                    Ok(()) => continue,
                    Err(_) => "the channel's queue is full",
                },
                None => "the channel is no longer configured",
            };
            let settled = Settled {
                notification: Arc::clone(notification),
                attempts: 0,
                outcome: Err(NotifyError::new(FailureClass::Other, problem)),
            };
            let now = (self.shared.time)();
            settled.log();
            self.shared.core().settle(&settled, now);
            self.shared.wake.notify_one();
        }
    }

    /// Takes note of all that is settled by now, so that one transaction writes it.
    fn settle_all(&self, first: &Settled, results: &mut mpsc::Receiver<Settled>) {
        let now = (self.shared.time)();
        first.log();
        self.shared.core().settle(first, now);
        while let Ok(settled) = results.try_recv() {
            settled.log();
            self.shared.core().settle(&settled, now);
        }
    }

    fn until_next(&self) -> Duration {
        let next = self.shared.core().dispatcher.next_due();
        let ms = next
            .saturating_sub((self.shared.time)())
            .clamp(1, MAX_SLEEP_MS);
        Duration::from_millis(u64::try_from(ms).unwrap_or(1))
    }

    async fn stop(
        mut self,
        lanes: Lanes,
        mut tasks: JoinSet<()>,
        mut results: mpsc::Receiver<Settled>,
        end: Instant,
    ) {
        self.round(&lanes).await;
        drop(lanes);
        for peer in &self.shared.peers {
            peer.close();
        }
        // What came of it is to be on the disk by the end.
        let left = end.saturating_duration_since(Instant::now());
        let last_answer = end - (left / 4).min(LAST_WRITE);
        loop {
            tokio::select! {
                biased;
                Some(settled) = results.recv() => self.settle_all(&settled, &mut results),
                ended = tasks.join_next() => if ended.is_none() { break },
                () = sleep_until(last_answer) => break,
            }
        }
        tasks.shutdown().await;
        while let Ok(settled) = results.try_recv() {
            self.settle_all(&settled, &mut results);
        }
        let now = (self.shared.time)();
        let writes = {
            let mut core = self.shared.core();
            let mut writes = std::mem::take(&mut core.writes);
            writes.extend(
                core.dispatcher
                    .take_changes()
                    .into_iter()
                    .map(Write::Change),
            );
            writes.extend(core.history.take_writes());
            writes
        };
        self.write(writes, now).await;
        self.blocking(|shared| shared.with_store(Store::close))
            .await;
        let left = self.shared.core().outbox.len();
        if left > 0 {
            tracing::warn!(left, "notifications are left in the outbox");
        }
    }
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner").finish_non_exhaustive()
    }
}
