//! Turns the collector's ticks into series that can be asked, in bounded memory.
//!
//! A series is registered once and then fed through its [`SeriesId`], so that a tick hashes no labels. Samples
//! are packed (`chunk`) and go when they are older than the retention or, oldest first, when the memory is
//! used up; series whose rules look far back keep one sample a minute for longer. One lock guards it all:
//! a tick over ten thousand series holds it for about a millisecond, a reader for one selector at a time.

mod chunk;
mod index;
mod inner;
mod retention;
mod series;
#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on says so by panicking, and its numbers are small"
)]
mod tests;

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub use chunk::{Point, STALE_MARKER_BITS, is_stale};
pub use retention::{Retention, RetentionError, check_ranges};

use super::labels::Labels;
use super::matcher::Matcher;
pub(super) use inner::Inner;

/// A handle to a registered series; it goes stale when the series is removed, and is then refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesId {
    pub(super) place: u32,
    pub(super) epoch: u32,
}

/// Bounded memory of time series.
#[derive(Debug)]
pub struct SeriesStore {
    inner: RwLock<Inner>,
}

/// What the store holds and has lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Series now.
    pub series: u64,
    /// Samples now, those of the second tier included.
    pub samples: u64,
    /// Bytes now, labels and index included by estimate.
    pub bytes: u64,
    /// Samples that were refused: out of order, or for a series that is gone.
    pub refused_samples: u64,
    /// Samples that went before their time because memory was used up.
    pub evicted_samples: u64,
}

impl SeriesStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new(retention: Retention) -> Self {
        Self {
            inner: RwLock::new(Inner::new(retention)),
        }
    }

    /// Registers a series, or finds it where it is known.
    pub fn register(&self, labels: &Labels) -> SeriesId {
        self.write().register(labels)
    }

    /// Appends one sample, registering the series where it is new; returns whether the sample was taken.
    pub fn append(&self, labels: &Labels, timestamp: i64, value: f64) -> bool {
        let mut inner = self.write();
        let id = inner.register(labels);
        let taken = inner.append(id, Point { timestamp, value });
        inner.enforce_limits(timestamp);
        taken
    }

    /// Appends one sample at the same time to each of many series, then drops what has become too old.
    ///
    /// Returns how many samples were taken; the others were out of order or their series is gone, and the
    /// caller should register those again.
    pub fn append_tick(&self, timestamp: i64, samples: &[(SeriesId, f64)]) -> usize {
        let mut inner = self.write();
        let mut taken = 0;
        for (id, value) in samples {
            let point = Point {
                timestamp,
                value: *value,
            };
            taken += usize::from(inner.append(*id, point));
        }
        inner.enforce_limits(timestamp);
        taken
    }

    /// Says that a series has ended: queries stop seeing it at once.
    pub fn mark_stale(&self, id: SeriesId, timestamp: i64) -> bool {
        let value = f64::from_bits(STALE_MARKER_BITS);
        self.write().append(id, Point { timestamp, value })
    }

    /// Keeps the coarser second tier for the series that meet any of these selectors, from now on.
    pub fn keep_long(&self, selectors: Vec<Vec<Matcher>>) {
        self.write().keep_long(selectors);
    }

    /// Returns the labels of the series that meet all matchers, in order.
    #[must_use]
    pub fn series(&self, matchers: &[Matcher]) -> Vec<Labels> {
        let inner = self.read();
        let found = inner.select(matchers);
        found
            .into_iter()
            .filter_map(|id| inner.labels(id).cloned())
            .collect()
    }

    /// Returns the labels of the series that meet all matchers and have a sample with `from <= time <= to`, in
    /// order.
    #[must_use]
    pub fn series_between(&self, matchers: &[Matcher], from: i64, to: i64) -> Vec<Labels> {
        let inner = self.read();
        let found = inner.select(matchers).into_iter();
        found
            .filter(|id| inner.has_sample(*id, from, to))
            .filter_map(|id| inner.labels(id).cloned())
            .collect()
    }

    /// Returns the names of all labels, in order.
    #[must_use]
    pub fn label_names(&self) -> Vec<String> {
        self.read().index.label_names()
    }

    /// Returns the values of one label, in order.
    #[must_use]
    pub fn label_values(&self, name: &str) -> Vec<String> {
        self.read().index.label_values(name)
    }

    /// Returns what the store holds and has lost.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        self.read().stats()
    }

    /// Returns how long and how much is kept.
    #[must_use]
    pub fn retention(&self) -> Retention {
        self.read().retention
    }

    // A panic elsewhere leaves the data as it was between two appends: go on with it.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for SeriesStore {
    fn default() -> Self {
        Self::new(Retention::default())
    }
}
