//! Provides the shared handle that rules, HTTP endpoints and the application call.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::{
    Channel, NotificationCounts, NotificationOptions, OpenError, Runner, TimeSource,
    address::Address, core::Core, durability::Progress, peer::PeerQueue,
};
use crate::{
    alerting::{
        AcknowledgeError, AcknowledgeTarget, Alert, AlertmanagerPeer, FlushOnShutdown, GroupView,
        HistoryQuery, HistoryRecord, HistoryStatistics, Router, Routing, RoutingError, Silence,
        SilenceError, SilenceRequest, dispatch::Dispatcher, history::History, outbox::Store,
    },
    query::Labels,
    runtime::{lock, unix_ms::UnixMs},
};

/// The name of the stored value that states the clock of all stored times.
const TIMES: &str = "times";
/// A step of the wall clock moves the stored times, so that another process can read them.
const WALL_CLOCK: &[u8] = b"wall clock, in milliseconds since the Unix epoch";

/// A handle to the delivery of notifications. Clones share their state; no method blocks, except
/// [`Notifications::open`].
#[derive(Clone)]
pub struct Notifications {
    pub(super) shared: Arc<Shared>,
}

/// The state that the handle and the runner share.
pub(super) struct Shared {
    core: Mutex<Core>,
    store: Mutex<Store>,
    pub(super) store_health: StoreHealth,
    pub(super) channels: BTreeMap<String, Channel>,
    /// The addresses of each channel.
    pub(super) addresses: BTreeMap<String, Vec<Arc<Address>>>,
    pub(super) peers: Vec<Arc<PeerQueue>>,
    pub(super) time: TimeSource,
    pub(super) wake: Notify,
    pub(super) progress: watch::Sender<Progress>,
    /// Messages about records that were lost before the start, which the runner logs.
    pub(super) losses: Mutex<Vec<String>>,
    pub(super) attempt_timeout: Duration,
    options: NotificationOptions,
}

/// The last state of the store, readable while the store waits for the disk.
#[derive(Debug, Default)]
pub(super) struct StoreHealth {
    failures: AtomicU64,
    is_degraded: AtomicBool,
    is_closed: AtomicBool,
    problem: Mutex<Option<String>>,
    /// True if the log says that the state is in memory only.
    is_reported: AtomicBool,
}

impl Notifications {
    /// Opens the store and restores its state; the caller must run the returned runner.
    ///
    /// `peers` are Alertmanagers that get every alert. Blocks on the disk.
    ///
    /// # Errors
    /// If the routing is invalid, or another process has the store open.
    pub fn open(
        options: NotificationOptions,
        channels: BTreeMap<String, Channel>,
        peers: Vec<AlertmanagerPeer>,
        time: TimeSource,
    ) -> Result<(Self, Runner), OpenError> {
        let router = router(&options.routing, &channels)?;
        let (store, loaded) = Store::open(options.data_dir.as_deref())?;
        let now = UnixMs::from_i64(time());
        let mut losses: Vec<String> = loaded.damage.into_iter().collect();
        if loaded.unreadable > 0 {
            let records = loaded.unreadable;
            losses.push(format!(
                "{records} records of the alert store cannot be read"
            ));
        }
        let mut slots = loaded.slots;
        slots.insert(TIMES.to_owned(), WALL_CLOCK.to_vec());
        let mut state = loaded.state;
        for notification in &mut state.outbox {
            // After a long outage, restored notifications get the minimum delivery time again.
            let earliest = now + options.dispatch.delivery_time;
            notification.deadline = notification.deadline.max(earliest);
        }
        let outbox = state.outbox.clone().into_iter().map(Arc::new);
        let outbox = outbox.map(|notification| (notification.id, notification));
        let grace_until = now + options.dispatch.restart_grace;
        let core = Core {
            outbox: outbox.collect(),
            dispatcher: Dispatcher::restore(router, options.dispatch.clone(), state, now),
            history: History::new(options.max_history, loaded.history, grace_until),
            channels: channels
                .keys()
                .map(|name| (name.clone(), super::ChannelCounts::default()))
                .collect(),
            slots,
            changed_slots: BTreeSet::from([TIMES.to_owned()]),
            writes: Vec::new(),
            batches: 0,
            stepped_ms: 0,
        };
        let peers = peers.into_iter().map(PeerQueue::new).map(Arc::new);
        let shared = Arc::new(Shared {
            core: Mutex::new(core),
            store_health: StoreHealth::of(&store),
            store: Mutex::new(store),
            addresses: channels
                .iter()
                .map(|(name, channel)| (name.clone(), channel.addresses(name)))
                .collect(),
            channels,
            peers: peers.collect(),
            time,
            wake: Notify::new(),
            progress: watch::Sender::default(),
            losses: Mutex::new(losses),
            attempt_timeout: options.attempt_timeout,
            options: options.clone(),
        });
        let runner = Runner::new(Arc::clone(&shared), options);
        Ok((Self { shared }, runner))
    }

    /// Puts alerts into the dispatcher and the queues of the peers.
    ///
    /// The end of a firing alert lies in the future; the alert counts as resolved then unless it is put again. The end
    /// of a resolved alert is the time at which it was resolved.
    pub fn put(&self, alerts: Vec<Alert>) {
        if !self.shared.peers.is_empty() {
            let shared: Vec<Arc<Alert>> = alerts.iter().cloned().map(Arc::new).collect();
            for peer in &self.shared.peers {
                peer.put(&shared);
            }
        }
        let (mut core, now) = self.shared.core_now();
        core.put(alerts, now);
        drop(core);
        self.shared.wake.notify_one();
    }

    /// Moves all times by a step of the wall clock. `apply` moves the clock at the same time.
    pub(crate) fn shift(&self, by_ms: i64, apply: impl FnOnce()) {
        let (mut core, before) = self.shared.core_now();
        apply();
        core.shift(by_ms, before);
        drop(core);
        let peers = self.shared.peers.iter();
        peers.for_each(|peer| peer.shift(by_ms));
        self.shared.wake.notify_one();
    }

    /// Makes the groups due that a shutdown must notify; the runner's last round sends their notifications.
    pub(crate) fn expedite(&self, flush: FlushOnShutdown) {
        let is_kept = self.is_persistent() && !self.shared.store_health.is_degraded();
        let (mut core, now) = self.shared.core_now();
        let dispatcher = &mut core.dispatcher;
        match flush {
            FlushOnShutdown::Never => {}
            FlushOnShutdown::Auto if is_kept => dispatcher.expedite(Alert::is_raised, now),
            FlushOnShutdown::Auto | FlushOnShutdown::All => dispatcher.expedite(|_| true, now),
        }
    }

    /// Creates another runner, to be run after the end of the first runner.
    #[must_use]
    pub fn runner(&self) -> Runner {
        Runner::new(Arc::clone(&self.shared), self.shared.options.clone())
    }

    /// Starts a round of the runner: the sleep of the runner does not follow a manual clock.
    pub(crate) fn wake(&self) {
        self.shared.wake.notify_one();
    }

    /// Replaces the routing; the channels stay.
    ///
    /// # Errors
    /// If the routing is invalid; the old routing then stays.
    pub fn set_routing(&self, routing: &Routing) -> Result<(), RoutingError> {
        self.use_router(self.compile(routing)?);
        Ok(())
    }

    /// Compiles a routing for the channels.
    pub(crate) fn compile(&self, routing: &Routing) -> Result<Router, RoutingError> {
        router(routing, &self.shared.channels)
    }

    /// Replaces the routing by a router of [`Notifications::compile`].
    pub(crate) fn use_router(&self, router: Router) {
        let (mut core, now) = self.shared.core_now();
        core.dispatcher.reconfigure(router, now);
        drop(core);
        self.shared.wake.notify_one();
    }

    /// Creates or changes a silence; returns its id.
    ///
    /// # Errors
    /// If the request is incomplete, or its id is unknown.
    pub fn set_silence(&self, request: SilenceRequest) -> Result<String, SilenceError> {
        let (mut core, now) = self.shared.core_now();
        let id = Uuid::new_v4().to_string();
        let id = core.dispatcher.set_silence(request, id, now)?;
        drop(core);
        self.shared.wake.notify_one();
        Ok(id)
    }

    /// Ends a silence.
    ///
    /// # Errors
    /// If the id is unknown, or the silence has expired.
    pub fn expire_silence(&self, id: &str) -> Result<(), SilenceError> {
        let (mut core, now) = self.shared.core_now();
        core.dispatcher.expire_silence(id, now)?;
        drop(core);
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Returns all silences, active silences first.
    #[must_use]
    pub fn silences(&self) -> Vec<Silence> {
        let (core, now) = self.shared.core_now();
        core.dispatcher.silences().list(now)
    }

    /// Returns an active silence that matches these labels.
    #[must_use]
    pub fn silence_of(&self, labels: &Labels) -> Option<Silence> {
        let (core, now) = self.shared.core_now();
        core.dispatcher.silence_of(labels, now).cloned()
    }

    /// Acknowledges the matching firing alerts: stops their repeats and their escalation. Resolved notifications are
    /// still sent. Returns the keys of the groups.
    ///
    /// # Errors
    /// If no firing alert matches, or the name is empty.
    pub fn acknowledge(
        &self,
        target: &AcknowledgeTarget,
        by: &str,
        comment: &str,
    ) -> Result<Vec<String>, AcknowledgeError> {
        let (mut core, now) = self.shared.core_now();
        let keys = core.dispatcher.acknowledge(target, by, comment, now)?;
        let groups = core.dispatcher.groups(now).into_iter();
        let groups = groups.filter(|group| keys.contains(&group.key));
        for acknowledgement in groups.filter_map(|group| group.acknowledgement) {
            core.history.record_acknowledgement(&acknowledgement);
        }
        drop(core);
        self.shared.wake.notify_one();
        Ok(keys)
    }

    /// Returns the groups that have alerts.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupView> {
        let (core, now) = self.shared.core_now();
        core.dispatcher.groups(now)
    }

    /// Returns the records of the history that match the query, latest first.
    #[must_use]
    pub fn history(&self, query: &HistoryQuery) -> Vec<Arc<HistoryRecord>> {
        self.shared.core().history.query(query)
    }

    /// Returns the statistics of the history.
    #[must_use]
    pub fn statistics(&self) -> HistoryStatistics {
        let (core, now) = self.shared.core_now();
        core.history.statistics(now)
    }

    /// Returns the counters and gauges for the metrics.
    #[must_use]
    pub fn counts(&self) -> NotificationCounts {
        let peers = self.shared.peers.iter();
        let peers = peers
            .map(|peer| (peer.name().to_owned(), peer.counts()))
            .collect();
        let health = &self.shared.store_health;
        let (core, now) = self.shared.core_now();
        let mut channels = core.channels.clone();
        for (name, addresses) in &self.shared.addresses {
            let counts = channels.entry(name.clone()).or_default();
            counts.hangs = addresses.iter().map(|address| address.hangs()).sum();
            counts.hanging = addresses.iter().filter(|a| a.is_hanging()).count();
        }
        NotificationCounts {
            channels,
            peers,
            suppressed: core.dispatcher.suppressed(),
            outbox_depth: core.outbox.len(),
            active_alerts: core.dispatcher.firing_count(now),
            store_failures: health.failures.load(Ordering::Relaxed),
            is_store_degraded: health.is_degraded(),
            store_problem: health.problem(),
        }
    }

    /// Returns the value that was last saved under this name, also before the restart; the rules keep their state here.
    #[must_use]
    pub fn saved_state(&self, name: &str) -> Option<Vec<u8>> {
        self.shared.core().slots.get(name).cloned()
    }

    /// Returns the values whose names start with `prefix`.
    pub(crate) fn saved_states(&self, prefix: &str) -> Vec<Vec<u8>> {
        let core = self.shared.core();
        let from_prefix = core.slots.range(prefix.to_owned()..);
        let with_prefix = from_prefix.take_while(|(name, _)| name.starts_with(prefix));
        with_prefix.map(|(_, bytes)| bytes.clone()).collect()
    }

    /// Saves a value under a name; the next round writes it.
    pub fn save_state(&self, name: &str, bytes: Vec<u8>) {
        self.shared.core().set_slot(name, Some(bytes));
        self.shared.wake.notify_one();
    }

    /// Removes the value under a name; the next round writes the removal.
    pub(crate) fn remove_state(&self, name: &str) {
        self.shared.core().set_slot(name, None);
        self.shared.wake.notify_one();
    }

    pub(super) fn now(&self) -> UnixMs {
        self.shared.now()
    }
}

impl Shared {
    pub(super) fn core(&self) -> MutexGuard<'_, Core> {
        lock(&self.core)
    }

    pub(super) fn now(&self) -> UnixMs {
        UnixMs::from_i64((self.time)())
    }

    /// Locks the core and reads the clock: a step of the clock moves both at the same time.
    pub(super) fn core_now(&self) -> (MutexGuard<'_, Core>, UnixMs) {
        let core = self.core();
        let now = self.now();
        (core, now)
    }

    /// Returns the time of the workers, which no step of the wall clock moves.
    pub(super) fn steady_now(&self) -> UnixMs {
        let (core, now) = self.core_now();
        core.steady(now)
    }

    pub(super) fn is_persistent(&self) -> bool {
        self.data_dir().is_some()
    }

    pub(super) fn data_dir(&self) -> Option<&Path> {
        self.options.data_dir.as_deref()
    }

    /// Calls `work` with the store; blocks on the disk.
    pub(super) fn with_store<T>(&self, work: impl FnOnce(&mut Store) -> T) -> T {
        let mut store = lock(&self.store);
        let result = work(&mut store);
        self.store_health.update(&store);
        result
    }
}

impl StoreHealth {
    fn of(store: &Store) -> Self {
        let health = Self::default();
        health.update(store);
        health
    }

    fn update(&self, store: &Store) {
        self.failures.store(store.failures(), Ordering::Relaxed);
        self.is_degraded
            .store(store.is_degraded(), Ordering::Relaxed);
        self.is_closed.store(store.is_closed(), Ordering::Relaxed);
        *self.lock_problem() = store.problem();
    }

    /// Returns the path and the reason of the failure of the disk; `None` if the store is not degraded.
    pub(super) fn problem(&self) -> Option<String> {
        self.lock_problem().clone()
    }

    /// Notes that the log says that the state is in memory only, or on the disk; returns the previous value.
    pub(super) fn set_reported(&self, is_reported: bool) -> bool {
        self.is_reported.swap(is_reported, Ordering::Relaxed)
    }

    fn lock_problem(&self) -> MutexGuard<'_, Option<String>> {
        lock(&self.problem)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    pub(super) fn is_degraded(&self) -> bool {
        self.is_degraded.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Notifications {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifications")
            .field("channels", &self.shared.channels.keys())
            .finish_non_exhaustive()
    }
}

fn router(routing: &Routing, channels: &BTreeMap<String, Channel>) -> Result<Router, RoutingError> {
    let traits = channels.iter();
    let traits = traits.map(|(name, channel)| (name.clone(), channel.routing_traits()));
    Router::new(routing, traits.collect())
}
