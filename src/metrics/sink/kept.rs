//! Keeps the handle of a series of a foreign `metrics` recorder for as long as the handle is in use.
//!
//! A registration in a recorder hashes the key, takes a lock and allocates. A kept handle costs a few additions, but it
//! can refer to a series that the recorder has evicted as idle. So a handle that was unused for its lifetime is
//! registered anew, and a handle of another recorder is not used: the no-op recorder before the installation, or a
//! recorder of `metrics::with_local_recorder`. Recorders are told apart by their address.

use std::{
    collections::HashSet,
    ptr,
    sync::{
        Arc, Mutex, PoisonError, RwLock, TryLockError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use metrics::{Key, Level as Verbosity, Metadata, Recorder};

use super::backend::{Count, Distribution, Level};
use crate::{
    metrics::catalog::{Metric, MetricKind},
    runtime::{clock::Clock, lock},
};

static METADATA: Metadata<'static> =
    Metadata::new("llm_observatory", Verbosity::INFO, Some(module_path!()));

/// The recorder of all series of a backend, and the lifetime of an unused handle.
pub(crate) struct Target {
    /// `None` for the recorder that is current at the time of a recording.
    recorder: Option<Arc<dyn Recorder + Send + Sync>>,
    lifetime: Duration,
    clock: Clock,
    /// The described metrics by recorder.
    described: Mutex<HashSet<(usize, &'static str)>>,
}

impl Target {
    pub(super) fn new(
        recorder: Option<Arc<dyn Recorder + Send + Sync>>,
        lifetime: Duration,
    ) -> Self {
        Self {
            recorder,
            lifetime,
            clock: Clock::system(),
            described: Mutex::default(),
        }
    }

    #[inline]
    fn with(&self, record: impl FnOnce(&dyn Recorder)) {
        match &self.recorder {
            Some(recorder) => record(recorder.as_ref()),
            None => metrics::with_recorder(record),
        }
    }

    /// Describes a metric once for each recorder.
    fn describe(&self, recorder: &dyn Recorder, metric: &'static Metric, name: &str) {
        if !lock(&self.described).insert((address(recorder), metric.name)) {
            return;
        }
        let (name, help) = (name.to_owned().into(), metric.help.into());
        match metric.kind {
            MetricKind::Counter => recorder.describe_counter(name, None, help),
            MetricKind::Gauge => recorder.describe_gauge(name, None, help),
            MetricKind::Histogram => recorder.describe_histogram(name, None, help),
        }
    }
}

fn address(recorder: &dyn Recorder) -> usize {
    ptr::from_ref(recorder).cast::<()>().addr()
}

/// Returns whether `recorder` stores anything. The no-op recorder has size zero.
fn is_installed(recorder: &dyn Recorder) -> bool {
    size_of_val(recorder) > 0
}

/// A handle that a recorder returns for a key.
pub(crate) trait RecorderHandle: Clone {
    fn register(recorder: &dyn Recorder, key: &Key) -> Self;
}

impl RecorderHandle for metrics::Counter {
    fn register(recorder: &dyn Recorder, key: &Key) -> Self {
        recorder.register_counter(key, &METADATA)
    }
}

impl RecorderHandle for metrics::Gauge {
    fn register(recorder: &dyn Recorder, key: &Key) -> Self {
        recorder.register_gauge(key, &METADATA)
    }
}

impl RecorderHandle for metrics::Histogram {
    fn register(recorder: &dyn Recorder, key: &Key) -> Self {
        recorder.register_histogram(key, &METADATA)
    }
}

struct Kept<H> {
    handle: H,
    /// Address of the recorder that returned the handle.
    recorder: usize,
    /// Reading of the clock at the last use. It stands beside the handle: with a time of its own, a second thread could
    /// use an expired handle while the first thread registers the series anew.
    used: AtomicU64,
}

/// A series of a foreign recorder.
pub(crate) struct RecorderSeries<H> {
    target: Arc<Target>,
    /// `None` for a metric of the application.
    metric: Option<&'static Metric>,
    key: Key,
    kept: RwLock<Option<Kept<H>>>,
    /// The bits of the sum of all added values, for a gauge that the recorder has evicted or has never seen.
    level: AtomicU64,
}

impl<H: RecorderHandle> RecorderSeries<H> {
    pub(super) fn new(target: &Arc<Target>, metric: Option<&'static Metric>, key: Key) -> Self {
        Self {
            target: Arc::clone(target),
            metric,
            key,
            kept: RwLock::new(None),
            level: AtomicU64::new(0),
        }
    }

    /// Calls `record` with the handle, and with true if the handle was registered for this call. No lock is waited for.
    #[inline]
    fn with(&self, record: impl FnOnce(&H, bool)) {
        let target = &*self.target;
        target.with(|recorder| {
            if let Ok(kept) = self.kept.try_read()
                && let Some(kept) = &*kept
                && kept.recorder == address(recorder)
            {
                let now = target.clock.raw();
                if target.clock.between(kept.used.load(Relaxed), now) < target.lifetime {
                    kept.used.store(now, Relaxed);
                    return record(&kept.handle, false);
                }
            }
            record(&self.register(recorder), true);
        });
    }

    #[cold]
    #[inline(never)]
    fn register(&self, recorder: &dyn Recorder) -> H {
        if !is_installed(recorder) {
            return H::register(recorder, &self.key);
        }
        if let Some(metric) = self.metric {
            self.target.describe(recorder, metric, self.key.name());
        }
        let handle = H::register(recorder, &self.key);
        let new = Kept {
            handle: handle.clone(),
            recorder: address(recorder),
            used: AtomicU64::new(self.target.clock.raw()),
        };
        let place = match self.kept.try_write() {
            Ok(place) => Some(place),
            Err(TryLockError::Poisoned(place)) => Some(PoisonError::into_inner(place)),
            // Another thread uses or replaces the handle.
            Err(TryLockError::WouldBlock) => None,
        };
        // The previous handle is foreign: it is dropped after the lock is released.
        let before = place.and_then(|mut place| place.replace(new));
        drop(before);
        handle
    }
}

impl Count for RecorderSeries<metrics::Counter> {
    #[inline]
    fn add(&self, value: u64) {
        self.with(|counter, _| counter.increment(value));
    }
}

impl RecorderSeries<metrics::Gauge> {
    /// Adds to a gauge of the application, whose value this series does not know.
    pub(super) fn increment(&self, value: f64) {
        self.with(|gauge, _| gauge.increment(value));
    }
}

impl Level for RecorderSeries<metrics::Gauge> {
    #[inline]
    fn add(&self, value: f64) {
        let sum = |bits| Some((f64::from_bits(bits) + value).to_bits());
        // The closure always returns a value.
        let _ = self.level.fetch_update(Relaxed, Relaxed, sum);
        self.with(|gauge, is_new| {
            if is_new {
                // The recorder may have evicted the gauge, or may be younger than the additions.
                gauge.set(f64::from_bits(self.level.load(Relaxed)));
            } else {
                gauge.increment(value);
            }
        });
    }

    fn set(&self, value: f64) {
        self.level.store(value.to_bits(), Relaxed);
        self.with(|gauge, _| gauge.set(value));
    }

    fn lower(&self) {
        self.add(-1.0);
    }
}

impl Distribution for RecorderSeries<metrics::Histogram> {
    #[inline]
    fn record(&self, value: f64) {
        self.with(|histogram, _| histogram.record(value));
    }
}
