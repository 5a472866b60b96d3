//! An in-memory store of time series with a time and a memory limit.
//!
//! A series is registered once, and later appends name its [`SeriesId`], so that appending hashes no labels. Samples are
//! compressed (`chunk`). Retention drops samples by age. At the memory limit, the store drops idle series and then the oldest
//! samples, and refuses new series if the limit is reached nevertheless; see [`Retention::bytes`].
//! Series that long ranges read also keep one sample a minute for longer. One lock guards the store: appending a sample to
//! each of ten thousand series holds it for about a millisecond, and a query holds it for one selector at a time.

mod chunk;
mod index;
mod pressure;
mod retention;
mod series;
mod state;
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
pub(super) use state::StoreState;

/// A handle to a registered series. The store refuses the handle after it has removed the series, and a later series with
/// the same labels has another handle. The store also refuses samples for the handle of a refused series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesId {
    pub(super) place: u32,
    pub(super) epoch: u32,
}

impl SeriesId {
    const REFUSED: Self = Self {
        place: u32::MAX,
        epoch: u32::MAX,
    };

    /// Returns whether the store had no room for the series. The caller registers the series again when
    /// [`SeriesStore::has_room`] returns `true`.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        *self == Self::REFUSED
    }
}

/// A store of time series in bounded memory.
#[derive(Debug)]
pub struct SeriesStore {
    state: RwLock<StoreState>,
}

/// Counts of the content of a store and of its losses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// The series that the store holds.
    pub series: u64,
    /// The samples that the store holds, in both tiers.
    pub samples: u64,
    /// The bytes of the samples, the labels and the index, as requested from the allocator.
    pub bytes: u64,
    /// The refused samples: out of order, or of a removed or refused series.
    pub refused_samples: u64,
    /// The samples that were dropped before their age limit, for memory.
    pub evicted_samples: u64,
    /// The refused registrations of new series, for memory. A series that is refused again counts again.
    pub refused_series: u64,
    /// The sweeps for samples and series to drop. A sweep visits all series.
    pub sweeps: u64,
}

impl SeriesStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new(retention: Retention) -> Self {
        Self {
            state: RwLock::new(StoreState::new(retention)),
        }
    }

    /// Registers a series, or returns the handle of a known series.
    ///
    /// At the memory limit, new series replace idle series; see [`Retention::bytes`]. If no series is idle, a new series is
    /// refused: its handle [is refused](SeriesId::is_refused), and so are its samples.
    pub fn register(&self, labels: &Labels) -> SeriesId {
        self.write().register(labels)
    }

    /// Returns whether the store accepts a new series: the memory limit leaves room, or a series may have become idle.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.read().has_room()
    }

    /// Appends a sample to a series and registers the series if it is new. Returns whether the sample was accepted.
    pub fn append(&self, labels: &Labels, timestamp: i64, value: f64) -> bool {
        let mut state = self.write();
        let id = state.register(labels);
        let accepted = state.append(id, Point { timestamp, value });
        state.enforce_limits(timestamp);
        accepted
    }

    /// Appends a sample at the same time to each of many series, and drops samples that have become too old.
    ///
    /// Returns the number of accepted samples. Samples out of order and samples of removed or refused series are refused: the
    /// caller registers these series again.
    pub fn append_tick(&self, timestamp: i64, samples: &[(SeriesId, f64)]) -> usize {
        let mut state = self.write();
        let mut accepted = 0;
        for (id, value) in samples {
            let point = Point {
                timestamp,
                value: *value,
            };
            accepted += usize::from(state.append(*id, point));
        }
        state.enforce_limits(timestamp);
        accepted
    }

    /// Marks the end of a series: queries stop returning it at once.
    pub fn mark_stale(&self, id: SeriesId, timestamp: i64) -> bool {
        let value = f64::from_bits(STALE_MARKER_BITS);
        self.write().append(id, Point { timestamp, value })
    }

    /// Moves the times of all samples by `by_ms` milliseconds, backwards if negative: for a step of the clock that gives the
    /// times. Intervals between samples stay as they are, and so does the age of samples at the time of the moved clock.
    pub fn shift(&self, by_ms: i64) {
        self.write().shift(by_ms);
    }

    /// Keeps the coarse second tier for the series that satisfy any of these selectors, from now on.
    pub fn keep_long(&self, selectors: Vec<Vec<Matcher>>) {
        self.write().keep_long(selectors);
    }

    /// Returns the labels of the series that satisfy all matchers, in the order of registration.
    #[must_use]
    pub fn series(&self, matchers: &[Matcher]) -> Vec<Labels> {
        let state = self.read();
        let found = state.select(matchers);
        found
            .into_iter()
            .filter_map(|id| state.labels(id).cloned())
            .collect()
    }

    /// Returns the labels of the series that satisfy all matchers and have a sample with `from <= time <= to`, in the order of
    /// registration.
    #[must_use]
    pub fn series_between(&self, matchers: &[Matcher], from: i64, to: i64) -> Vec<Labels> {
        let state = self.read();
        let found = state.select(matchers).into_iter();
        found
            .filter(|id| state.has_sample(*id, from, to))
            .filter_map(|id| state.labels(id).cloned())
            .collect()
    }

    /// Returns the names of all labels, sorted.
    #[must_use]
    pub fn label_names(&self) -> Vec<String> {
        self.read().index.label_names()
    }

    /// Returns the values of a label, sorted.
    #[must_use]
    pub fn label_values(&self, name: &str) -> Vec<String> {
        self.read().index.label_values(name)
    }

    /// Returns counts of the content and of the losses.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        self.read().stats()
    }

    /// Returns the age and memory limits.
    #[must_use]
    pub fn retention(&self) -> Retention {
        self.read().retention
    }

    // A panic in another thread leaves the data as it was between two appends, which is consistent.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, StoreState> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, StoreState> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for SeriesStore {
    fn default() -> Self {
        Self::new(Retention::default())
    }
}
