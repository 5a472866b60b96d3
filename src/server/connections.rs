//! Keeps the open connections within their limit: at the limit, the connection without progress for longest is closed.
//!
//! A client that does nothing, sends half a request, or does not read its answer costs others nothing, since a new
//! connection takes its place. A connection whose complete request is being answered keeps its place.

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};
use std::time::Duration;

use tokio::{sync::Notify, time::Instant};

use crate::{
    metrics::{Registry, catalog},
    runtime::lock,
};

/// The share of the process's file descriptors that connections may use; the application needs the rest.
const DESCRIPTORS_PER_CONNECTION: u64 = 10;
/// The time without progress after which a client counts as a client that does not read its answer.
const MIN_STALL: Duration = Duration::from_secs(1);
/// The interval at which a new connection looks for a place while every other connection makes progress.
const RECHECK: Duration = Duration::from_millis(50);

/// The open connections.
pub(super) struct Connections {
    max: usize,
    registry: Registry,
    open: Mutex<Vec<Arc<Connection>>>,
    changed: Notify,
}

/// The progress of a connection.
pub(super) struct Connection {
    progress: Mutex<Progress>,
    /// True if bytes of the next request have arrived.
    has_part_of_request: AtomicBool,
    close: Notify,
}

#[derive(Clone, Copy)]
struct Progress {
    /// The start of the wait for a complete request; `None` while a request is answered.
    waits_since: Option<Instant>,
    /// The time since which the client takes no bytes.
    stalled_since: Option<Instant>,
}

/// The reason why the server closed a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Closed {
    Limit,
    ReadTimeout,
    WriteTimeout,
    ScrapeStalled,
}

impl Connections {
    /// Creates an empty list for at most `max` connections, or fewer if the process has few file descriptors.
    pub(super) fn new(max: usize, registry: Registry) -> Self {
        let max = within_descriptors(max, max_descriptors());
        registry.set(&catalog::SERVER_MAX_CONNECTIONS, &[], max as f64);
        Self {
            max,
            registry,
            open: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Waits until there is a place for a connection, and adds the connection.
    pub(super) async fn open(&self) -> Arc<Connection> {
        loop {
            if let Some(connection) = self.try_open(Instant::now()) {
                return connection;
            }
            // The wait ends at the next closed connection, or when a client has not read for long enough.
            let _ = tokio::time::timeout(RECHECK, self.changed.notified()).await;
        }
    }

    fn try_open(&self, now: Instant) -> Option<Arc<Connection>> {
        let mut open = self.lock();
        if open.len() >= self.max {
            let idle = open.iter().enumerate();
            let idle = idle.filter_map(|(at, connection)| Some((connection.idle_since(now)?, at)));
            let (_, longest) = idle.min()?;
            open.swap_remove(longest).close.notify_one();
            count_closed(&self.registry, Closed::Limit);
        }
        let connection = Arc::new(Connection {
            progress: Mutex::new(Progress {
                waits_since: Some(now),
                stalled_since: None,
            }),
            has_part_of_request: AtomicBool::new(false),
            close: Notify::new(),
        });
        open.push(Arc::clone(&connection));
        self.show(open.len());
        Some(connection)
    }

    /// Removes a connection that has ended, for example by an error.
    pub(super) fn remove(&self, connection: &Arc<Connection>, ended: Result<(), hyper::Error>) {
        let mut open = self.lock();
        open.retain(|other| !Arc::ptr_eq(other, connection));
        self.show(open.len());
        drop(open);
        self.changed.notify_one();
        // A client that keeps a connection open without a request is no failure.
        if ended.is_err_and(|error| error.is_timeout())
            && connection.has_part_of_request.load(Ordering::Relaxed)
        {
            count_closed(&self.registry, Closed::ReadTimeout);
        }
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    fn show(&self, open: usize) {
        self.registry
            .set(&catalog::SERVER_CONNECTIONS, &[], open as f64);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Connection>>> {
        lock(&self.open)
    }
}

impl Connection {
    /// Waits until the connection must close because another connection needs its place.
    pub(super) async fn closed(&self) {
        self.close.notified().await;
    }

    /// Notes bytes from the client.
    pub(super) fn received(&self) {
        self.has_part_of_request.store(true, Ordering::Relaxed);
    }

    /// Notes that a request is complete, and is answered now.
    pub(super) fn begin_answer(&self) {
        self.has_part_of_request.store(false, Ordering::Relaxed);
        self.progress().waits_since = None;
    }

    /// Notes that the answer is complete, or that the client has abandoned it.
    pub(super) fn end_answer(&self) {
        self.progress().waits_since = Some(Instant::now());
    }

    /// Notes whether the client takes bytes.
    pub(super) fn set_stalled(&self, is_stalled: bool) {
        self.progress().stalled_since = is_stalled.then(Instant::now);
    }

    /// Returns the time since which the connection waits for its client; `None` if it does not, or not for long.
    fn idle_since(&self, now: Instant) -> Option<Instant> {
        let Progress {
            waits_since,
            stalled_since,
        } = *self.progress();
        let stalled_since = stalled_since.filter(|since| now.duration_since(*since) >= MIN_STALL);
        stalled_since.into_iter().chain(waits_since).min()
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        lock(&self.progress)
    }
}

/// Counts a connection that the server closed, and logs the first of each reason.
pub(super) fn count_closed(registry: &Registry, reason: Closed) {
    let (label, advice) = match reason {
        Closed::Limit => (
            "limit",
            "at the limit of open connections, the one that had waited longest for a complete request was closed: raise \
             server.max_connections, or see which clients connect",
        ),
        Closed::ReadTimeout => (
            "read_timeout",
            "a client did not send a complete request within server.read_timeout",
        ),
        Closed::WriteTimeout => (
            "write_timeout",
            "a client did not take its answer within server.write_timeout",
        ),
        Closed::ScrapeStalled => (
            "scrape_stalled",
            "a client that did not read its scrape was closed, since other scrapes waited",
        ),
    };
    let labels = [("reason", label)];
    registry.counter(&catalog::SERVER_CLOSED, &labels).add(1);
    registry.diagnostics().notice(format!(
        "server: {advice} (logged once; counted in {})",
        catalog::SERVER_CLOSED.name
    ));
}

/// Returns the limit of connections for a process that may open this number of files.
fn within_descriptors(max: usize, descriptors: Option<u64>) -> usize {
    let share = descriptors.map_or(u64::MAX, |all| all / DESCRIPTORS_PER_CONNECTION);
    max.min(usize::try_from(share).unwrap_or(usize::MAX)).max(1)
}

#[cfg(unix)]
fn max_descriptors() -> Option<u64> {
    use nix::sys::resource::{Resource, getrlimit};
    getrlimit(Resource::RLIMIT_NOFILE)
        .ok()
        .map(|(soft, _)| soft)
}

#[cfg(not(unix))]
const fn max_descriptors() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::RegistryOptions;

    fn connections(max: usize) -> Connections {
        let registry = Registry::new(RegistryOptions::default()).unwrap();
        Connections::new(max, registry)
    }

    fn is_open(connections: &Connections, connection: &Arc<Connection>) -> bool {
        let open = connections.lock();
        open.iter().any(|other| Arc::ptr_eq(other, connection))
    }

    #[test]
    fn connections_get_at_most_a_tenth_of_the_descriptors() {
        for (max, descriptors, expected) in [
            (64, None, 64),
            (64, Some(1024), 64),
            (64, Some(640), 64),
            (64, Some(639), 63),
            (200, Some(1024), 102),
            (64, Some(5), 1),
        ] {
            let found = within_descriptors(max, descriptors);
            assert_eq!(found, expected, "{max} of {descriptors:?}");
        }
    }

    #[test]
    fn at_the_limit_the_connection_that_waits_longest_is_closed() {
        let connections = connections(3);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let open = |second| connections.try_open(at(second));
        let (answered, idle, newer) = (open(0).unwrap(), open(1).unwrap(), open(2).unwrap());
        answered.begin_answer();
        let fourth = open(3).unwrap();
        assert!(!is_open(&connections, &idle), "it has waited longest");
        assert!(is_open(&connections, &answered) && is_open(&connections, &newer));
        newer.begin_answer();
        fourth.begin_answer();
        assert!(open(4).is_none(), "every connection is being answered");
        // An answer that its client does not take keeps the place for a second only.
        newer.progress().stalled_since = Some(at(5));
        assert!(open(5).is_none());
        assert!(open(6).is_some() && !is_open(&connections, &newer));
    }
}
