//! The handle: what the rules, the HTTP endpoints and the application call.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::Notify;

use super::{
    Channel, NotificationCounts, NotificationOptions, OpenError, Runner, TimeSource, core::Core,
    peer::PeerQueue,
};
use crate::{
    alerting::{
        AcknowledgeError, AcknowledgeTarget, Alert, AlertmanagerPeer, Dispatcher, GroupView,
        History, HistoryQuery, HistoryRecord, HistoryStatistics, Router, Routing, RoutingError,
        Silence, SilenceError, SilenceRequest,
        outbox::{Store, Write},
        route::to_ms,
    },
    query::Labels,
};

/// Gives alerts to whoever must hear of them. Cheap to clone; every method returns at once.
#[derive(Clone)]
pub struct Notifications {
    pub(super) shared: Arc<Shared>,
}

/// What the handle and the runner share.
pub(super) struct Shared {
    core: Mutex<Core>,
    store: Mutex<Store>,
    pub(super) store_health: StoreHealth,
    pub(super) channels: BTreeMap<String, Channel>,
    pub(super) peers: Vec<Arc<PeerQueue>>,
    pub(super) time: TimeSource,
    pub(super) wake: Notify,
    pub(super) attempt_timeout: Duration,
    options: NotificationOptions,
}

/// What the store said last, to be read while it waits for the disk.
#[derive(Debug, Default)]
pub(super) struct StoreHealth {
    failures: AtomicU64,
    is_degraded: AtomicBool,
    is_closed: AtomicBool,
}

impl Notifications {
    /// Opens the store and goes on from it; the runner must then be run.
    ///
    /// `peers` are Alertmanagers that get the alerts themselves. Blocks on the disk: call it where that is allowed.
    ///
    /// # Errors
    /// When the routing is wrong, or another process uses the store.
    pub fn open(
        options: NotificationOptions,
        channels: BTreeMap<String, Channel>,
        peers: Vec<AlertmanagerPeer>,
        time: TimeSource,
    ) -> Result<(Self, Runner), OpenError> {
        let router = router(&options.routing, &channels)?;
        let (store, loaded) = Store::open(options.data_dir.as_deref())?;
        let now = time();
        if loaded.unreadable > 0 {
            let records = loaded.unreadable;
            tracing::warn!(records, "the alert store holds records that cannot be read");
        }
        let mut saved = loaded.saved;
        for notification in &mut saved.outbox {
            // Whoever was down for an hour gets its chance all the same.
            let fresh = now.saturating_add(to_ms(options.dispatch.delivery_time));
            notification.deadline = notification.deadline.max(fresh);
        }
        let outbox = saved.outbox.clone().into_iter().map(Arc::new);
        let outbox = outbox.map(|notification| (notification.id, notification));
        let grace = now.saturating_add(to_ms(options.dispatch.restart_grace));
        let core = Core {
            outbox: outbox.collect(),
            dispatcher: Dispatcher::restore(router, options.dispatch.clone(), saved, now),
            history: History::new(options.max_history, loaded.history, grace),
            channels: channels
                .keys()
                .map(|name| (name.clone(), super::ChannelCounts::default()))
                .collect(),
            slots: loaded.slots,
            writes: Vec::new(),
        };
        let peers = peers.into_iter().map(PeerQueue::new).map(Arc::new);
        let shared = Arc::new(Shared {
            core: Mutex::new(core),
            store_health: StoreHealth::of(&store),
            store: Mutex::new(store),
            channels,
            peers: peers.collect(),
            time,
            wake: Notify::new(),
            attempt_timeout: options.attempt_timeout,
            options: options.clone(),
        });
        let runner = Runner::new(Arc::clone(&shared), options);
        Ok((Self { shared }, runner))
    }

    /// Takes alerts in, as [`Dispatcher::put`].
    pub fn put(&self, alerts: Vec<Alert>) {
        if !self.shared.peers.is_empty() {
            let shared: Vec<Arc<Alert>> = alerts.iter().cloned().map(Arc::new).collect();
            for peer in &self.shared.peers {
                peer.put(&shared);
            }
        }
        let now = self.now();
        self.shared.core().put(alerts, now);
        self.shared.wake.notify_one();
    }

    /// Another runner, for when the first has ended.
    #[must_use]
    pub fn runner(&self) -> Runner {
        Runner::new(Arc::clone(&self.shared), self.shared.options.clone())
    }

    /// Has the runner look whether something is due: its own sleep does not know a clock that is moved by hand.
    pub(crate) fn wake(&self) {
        self.shared.wake.notify_one();
    }

    /// Uses another routing over the same channels; all or nothing.
    ///
    /// # Errors
    /// When it is wrong; the old one stays then.
    pub fn set_routing(&self, routing: &Routing) -> Result<(), RoutingError> {
        self.use_router(self.compile(routing)?);
        Ok(())
    }

    /// Checks a routing against the channels.
    pub(crate) fn compile(&self, routing: &Routing) -> Result<Router, RoutingError> {
        router(routing, &self.shared.channels)
    }

    /// Uses a routing that [`Notifications::compile`] has checked.
    pub(crate) fn use_router(&self, router: Router) {
        let now = self.now();
        self.shared.core().dispatcher.reconfigure(router, now);
        self.shared.wake.notify_one();
    }

    /// Creates or changes a silence; returns its id.
    ///
    /// # Errors
    /// When the request is not complete or names a silence that is not there.
    pub fn set_silence(&self, request: SilenceRequest) -> Result<String, SilenceError> {
        let now = self.now();
        let id = self
            .shared
            .core()
            .dispatcher
            .set_silence(request, new_id(), now)?;
        self.shared.wake.notify_one();
        Ok(id)
    }

    /// Ends a silence.
    ///
    /// # Errors
    /// When there is none with this id, or it is over.
    pub fn expire_silence(&self, id: &str) -> Result<(), SilenceError> {
        let now = self.now();
        self.shared.core().dispatcher.expire_silence(id, now)?;
        self.shared.wake.notify_one();
        Ok(())
    }

    /// All silences, the active ones first.
    #[must_use]
    pub fn silences(&self) -> Vec<Silence> {
        let now = self.now();
        self.shared.core().dispatcher.silences().list(now)
    }

    /// The silence that keeps an alert with these labels back.
    #[must_use]
    pub fn silence_of(&self, labels: &Labels) -> Option<Silence> {
        let now = self.now();
        self.shared
            .core()
            .dispatcher
            .silence_of(labels, now)
            .cloned()
    }

    /// Acknowledges what fires; returns the groups' keys. See [`Dispatcher::acknowledge`].
    ///
    /// # Errors
    /// When nothing that fires matches, or nobody is named.
    pub fn acknowledge(
        &self,
        target: &AcknowledgeTarget,
        by: &str,
        comment: &str,
    ) -> Result<Vec<String>, AcknowledgeError> {
        let now = self.now();
        let mut core = self.shared.core();
        let keys = core.dispatcher.acknowledge(target, by, comment, now)?;
        let groups = core.dispatcher.groups(now).into_iter();
        let given = groups.filter(|group| keys.contains(&group.key));
        for given in given.filter_map(|group| group.acknowledgement) {
            core.history.acknowledged(&given);
        }
        drop(core);
        self.shared.wake.notify_one();
        Ok(keys)
    }

    /// The groups that have alerts.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupView> {
        let now = self.now();
        self.shared.core().dispatcher.groups(now)
    }

    /// The records of the history that are wanted, the latest first.
    #[must_use]
    pub fn history(&self, query: &HistoryQuery) -> Vec<Arc<HistoryRecord>> {
        self.shared.core().history.query(query)
    }

    /// The history in numbers.
    #[must_use]
    pub fn statistics(&self) -> HistoryStatistics {
        let now = self.now();
        self.shared.core().history.statistics(now)
    }

    /// Counters and gauges for the metrics.
    #[must_use]
    pub fn counts(&self) -> NotificationCounts {
        let now = self.now();
        let peers = self.shared.peers.iter();
        let peers = peers
            .map(|peer| (peer.name().to_owned(), peer.counts()))
            .collect();
        let health = &self.shared.store_health;
        let core = self.shared.core();
        NotificationCounts {
            channels: core.channels.clone(),
            peers,
            suppressed: core.dispatcher.suppressed(),
            outbox_depth: core.outbox.len(),
            active_alerts: core.dispatcher.firing_count(now),
            store_failures: health.failures.load(Ordering::Relaxed),
            is_store_degraded: health.is_degraded(),
        }
    }

    /// What was saved under this name, at the last start or since: a place for the state of rules.
    #[must_use]
    pub fn saved_state(&self, name: &str) -> Option<Vec<u8>> {
        self.shared.core().slots.get(name).cloned()
    }

    /// Saves bytes under a name, with the next round's transaction.
    pub fn save_state(&self, name: &str, bytes: Vec<u8>) {
        let mut core = self.shared.core();
        // An older one that has not been written yet is of no use.
        let is_older = |write: &Write| matches!(write, Write::PutSlot(other, _) if other == name);
        core.writes.retain(|write| !is_older(write));
        core.writes
            .push(Write::PutSlot(name.to_owned(), bytes.clone()));
        core.slots.insert(name.to_owned(), bytes);
        drop(core);
        self.shared.wake.notify_one();
    }

    pub(super) fn now(&self) -> i64 {
        (self.shared.time)()
    }
}

impl Shared {
    pub(super) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks for as long as the disk does.
    pub(super) fn with_store<T>(&self, work: impl FnOnce(&mut Store) -> T) -> T {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = work(&mut store);
        self.store_health.update(&store);
        answer
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

/// A random UUID (version 4), as Alertmanager's silences have.
pub(super) fn new_id() -> String {
    let mut bytes = [0u8; 16];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        // No randomness: the address of a fresh allocation and its hash are unique enough within a process.
        let unique = Box::new(0u8);
        let address = std::ptr::from_ref(&*unique) as usize as u64;
        bytes[..8].copy_from_slice(&address.to_le_bytes());
    }
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = crate::alerting::channel::hex(&bytes);
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}
