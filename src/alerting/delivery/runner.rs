//! Runs the delivery: writes the changes of each round, distributes notifications to the address workers, and records
//! their results.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    task::{JoinSet, spawn_blocking},
    time::{Instant, sleep, sleep_until},
};

use super::{
    NotificationOptions,
    address_worker::{AddressWorker, Completion},
    core::Assignment,
    handle::Shared,
};
use crate::{
    alerting::{
        FailureClass, NotifyError,
        outbox::{Store, Write},
    },
    runtime::unix_ms::UnixMs,
};

/// The minimum time between two rounds that only the clock causes.
const MIN_SLEEP: Duration = Duration::from_millis(1);
/// The maximum time between two rounds: the clock of a test may advance, and the machine may be suspended.
const MAX_SLEEP: Duration = Duration::from_secs(5);
/// The time between two attempts to recover a failed store.
const RECOVERY_INTERVAL: Duration = Duration::from_mins(1);
/// The time between two checks that the file of the store still exists, if nothing is written.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// The part of the shutdown time that is reserved for the last transaction, at most.
const MAX_FINAL_WRITE: Duration = Duration::from_millis(500);
/// The maximum number of completions that wait for the runner; a worker waits while the queue is full.
const MAX_QUEUED_COMPLETIONS: usize = 1_024;

/// Delivers notifications until the shutdown signal.
pub struct Runner {
    shared: Arc<Shared>,
    options: NotificationOptions,
    /// On the steady clock of the workers.
    next_recovery: UnixMs,
    /// On the steady clock of the workers.
    next_check: UnixMs,
}

/// The queue of each address worker, by channel and index of the address.
type Workers = HashMap<(String, u16), mpsc::Sender<Assignment>>;

impl Runner {
    pub(super) fn new(shared: Arc<Shared>, options: NotificationOptions) -> Self {
        Self {
            shared,
            options,
            next_recovery: UnixMs::MIN,
            next_check: UnixMs::MIN,
        }
    }

    /// Runs until `shutdown` resolves, and then until the notifications in flight are delivered: at most for
    /// [`NotificationOptions::shutdown_timeout`], and at most until the deadline that `shutdown` resolves to. The other
    /// notifications stay in the outbox for the next start.
    ///
    /// Needs a tokio runtime with time and I/O; a current-thread runtime is sufficient. The store is written on the
    /// blocking threads of the runtime.
    ///
    /// After the end of the runner and until the start of another runner, another process can open the store.
    pub async fn run(mut self, shutdown: impl Future<Output = Option<std::time::Instant>>) {
        self.shared.set_stopped(false);
        let mut tasks = JoinSet::new();
        let (sender, mut completions) = mpsc::channel(MAX_QUEUED_COMPLETIONS);
        let workers = self.start_workers(&mut tasks, sender);
        for peer in &self.shared.peers {
            peer.open();
            tasks.spawn(Arc::clone(peer).run(self.options.backoff.clone()));
        }
        if self.shared.store_health.is_closed() {
            self.recover().await;
        }
        let restored = {
            let core = self.shared.core();
            let mut restored: Vec<_> = core.outbox.values().cloned().collect();
            restored.sort_by_key(|notification| notification.id);
            core.assignments(restored)
        };
        self.distribute(&workers, &restored);
        let mut shutdown = std::pin::pin!(shutdown);
        let deadline = loop {
            self.round(&workers).await;
            tokio::select! {
                biased;
                deadline = &mut shutdown => break deadline,
                Some(completion) = completions.recv() => self.complete_all(&completion, &mut completions),
                () = self.shared.wake.notified() => {}
                () = sleep(self.time_to_next_round()) => {}
            }
        };
        let latest = Instant::now() + self.options.shutdown_timeout;
        let end = deadline.map_or(latest, |end| Instant::from_std(end).min(latest));
        self.stop(workers, tasks, completions, end).await;
    }

    fn start_workers(
        &self,
        tasks: &mut JoinSet<()>,
        completions: mpsc::Sender<Completion>,
    ) -> Workers {
        let mut workers = Workers::new();
        // Each group has at most one notification in flight to an address.
        let capacity = self.options.dispatch.max_groups.saturating_add(1);
        for (name, addresses) in &self.shared.addresses {
            for (index, address) in (0u16..).zip(addresses) {
                let (sender, incoming) = mpsc::channel(capacity);
                let worker = AddressWorker {
                    address: Arc::clone(address),
                    shared: Arc::clone(&self.shared),
                    backoff: self.options.backoff.clone(),
                    attempt_timeout: self.options.attempt_timeout,
                    incoming,
                    completions: completions.clone(),
                };
                tasks.spawn(worker.run());
                workers.insert((name.clone(), index), sender);
            }
        }
        // The end of the last worker closes the queue of completions.
        drop(completions);
        workers
    }

    /// Runs a round: writes the changes before it distributes the notifications.
    async fn round(&mut self, workers: &Workers) {
        let round = {
            let (mut core, now) = self.shared.core_now();
            core.round(now)
        };
        self.write(round.writes).await;
        self.distribute(workers, &round.notifications);
    }

    /// Writes changes to the store; a degraded store is recovered once per [`RECOVERY_INTERVAL`].
    async fn write(&mut self, writes: Vec<Write>) {
        let now = self.shared.steady_now();
        if !writes.is_empty() || (now >= self.next_check && self.shared.is_persistent()) {
            self.next_check = now + CHECK_INTERVAL;
            self.blocking(move |shared| {
                // The store keeps the error as its problem.
                let _ = shared.with_store(|store| store.commit(&writes));
                shared.report_store();
            })
            .await;
        }
        if self.shared.store_health.is_degraded() && now >= self.next_recovery {
            self.next_recovery = now + RECOVERY_INTERVAL;
            self.recover().await;
        }
        self.shared.publish_written();
    }

    /// Opens the file of the store again and writes the complete state.
    async fn recover(&self) {
        let full_state = self.shared.core().full_state();
        self.blocking(move |shared| {
            match shared.with_store(|store| store.recover(&full_state)) {
                Ok(silences) => {
                    shared.core().dispatcher.adopt_silences(silences);
                    shared.report_store();
                }
                // The recovery is retried each minute, and the log has a warning about the first failure.
                Err(error) => tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "alert state is still in memory only"
                ),
            }
        })
        .await;
    }

    /// Runs `work` on a blocking thread, so that a slow disk does not delay the address workers.
    async fn blocking(&self, work: impl FnOnce(&Shared) + Send + 'static) {
        let shared = Arc::clone(&self.shared);
        let task = spawn_blocking(move || work(&shared));
        if let Err(error) = task.await {
            tracing::error!(%error, "writing alert state failed");
        }
    }

    /// Passes notifications to their address workers. A notification without a worker, or for a full queue, fails.
    fn distribute(&self, workers: &Workers, assignments: &[Assignment]) {
        for assignment in assignments {
            let notification = &assignment.notification;
            let key = (notification.channel.clone(), notification.address);
            let problem = match workers.get(&key) {
                Some(worker) => match worker.try_send(assignment.clone()) {
                    Ok(()) => continue,
                    Err(_) => "the channel's queue is full",
                },
                None => "the channel is no longer configured",
            };
            let completion = Completion {
                notification: Arc::clone(notification),
                attempts: 0,
                result: Err(NotifyError::new(FailureClass::Other, problem)),
            };
            self.complete(&completion);
            self.shared.wake.notify_one();
        }
    }

    /// Records `first` and all queued completions, so that one transaction writes them.
    fn complete_all(&self, first: &Completion, completions: &mut mpsc::Receiver<Completion>) {
        self.complete(first);
        while let Ok(completion) = completions.try_recv() {
            self.complete(&completion);
        }
    }

    fn complete(&self, completion: &Completion) {
        completion.log();
        let (mut core, now) = self.shared.core_now();
        core.complete(completion, now);
    }

    fn time_to_next_round(&self) -> Duration {
        let (core, now) = self.shared.core_now();
        let next = core.dispatcher.next_due();
        next.saturating_since(now).clamp(MIN_SLEEP, MAX_SLEEP)
    }

    /// Waits for the notifications in flight until `end`, then writes the last changes and closes the store.
    async fn stop(
        mut self,
        workers: Workers,
        mut tasks: JoinSet<()>,
        mut completions: mpsc::Receiver<Completion>,
        end: Instant,
    ) {
        self.round(&workers).await;
        drop(workers);
        for peer in &self.shared.peers {
            peer.close();
        }
        // The last transaction must be on the disk by the end.
        let remaining = end.saturating_duration_since(Instant::now());
        let last_completion = end - (remaining / 4).min(MAX_FINAL_WRITE);
        loop {
            tokio::select! {
                biased;
                Some(completion) = completions.recv() => self.complete_all(&completion, &mut completions),
                ended = tasks.join_next() => if ended.is_none() { break },
                () = sleep_until(last_completion) => break,
            }
        }
        tasks.shutdown().await;
        while let Ok(completion) = completions.try_recv() {
            self.complete_all(&completion, &mut completions);
        }
        let writes = self.shared.core().take_writes();
        self.write(writes).await;
        self.blocking(|shared| shared.with_store(Store::close))
            .await;
        self.shared.report_remaining();
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.shared.set_stopped(true);
    }
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner").finish_non_exhaustive()
    }
}
