//! The state behind the lock of a store: the series, their index and the limits.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};

use super::chunk::Point;
use super::index::{Index, table_bytes};
use super::pressure::{self, Need, Selection, Shortening};
use super::retention::{Retention, milliseconds};
use super::series::{Cutoffs, Series};
use super::{SeriesId, StoreStats};
use crate::labels::Labels;
use crate::matcher::Matcher;

/// The bytes that a new series may need: the store refuses a new series if less room is left.
const ROOM_PER_SERIES: u64 = 1024;
/// The bytes of a place in the list of series.
const PLACE_BYTES: usize = size_of::<Option<Series>>();
/// The number of sweeps for old samples per retention time. A sweep visits all series.
const SWEEPS_PER_RETENTION: i64 = 60;

/// The number of the next store. It keeps a cache from serving another store than its own.
static NEXT_STORE: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
pub(crate) struct StoreState {
    pub(super) retention: Retention,
    pub(super) index: Index,
    by_labels: HashMap<Labels, u32>,
    series: Vec<Option<Series>>,
    free: Vec<u32>,
    next_epoch: u32,
    long_selectors: Vec<Vec<Matcher>>,
    /// The counts, without the bytes, which [`StoreState::bytes`] computes.
    stats: StoreStats,
    /// The sum of [`Series::fixed_bytes`].
    fixed_bytes: u64,
    /// The sum of [`Series::sample_bytes`].
    sample_bytes: u64,
    /// The time of the last append.
    now: i64,
    next_sweep: i64,
    pressure: Pressure,
    store: u64,
    generation: u64,
}

/// The result of the last sweep at the memory limit. A sweep that cannot free anything is not repeated.
#[derive(Debug)]
struct Pressure {
    /// The time of the last sweep: one sweep per time suffices.
    swept_at: Option<i64>,
    /// True if a registration has swept since the last append.
    has_swept_early: bool,
    /// The earliest time at which a series can be idle.
    next_idle: i64,
    /// The bytes above which the samples have grown enough for a further sweep.
    max_bytes: u64,
}

impl StoreState {
    pub(super) fn new(retention: Retention) -> Self {
        Self {
            retention,
            index: Index::default(),
            by_labels: HashMap::new(),
            series: Vec::new(),
            free: Vec::new(),
            next_epoch: 0,
            long_selectors: Vec::new(),
            stats: StoreStats::default(),
            fixed_bytes: 0,
            sample_bytes: 0,
            now: i64::MIN,
            next_sweep: i64::MIN,
            pressure: Pressure {
                swept_at: None,
                has_swept_early: false,
                next_idle: i64::MIN,
                max_bytes: retention.bytes as u64,
            },
            store: NEXT_STORE.fetch_add(1, Ordering::Relaxed),
            generation: 0,
        }
    }

    /// Returns a value that changes whenever a series is added or removed, which invalidates cached selections.
    pub(crate) fn version(&self) -> (u64, u64) {
        (self.store, self.generation)
    }

    pub(super) fn stats(&self) -> StoreStats {
        StoreStats {
            bytes: self.bytes(),
            ..self.stats
        }
    }

    /// Returns the bytes of the tables, the index, the labels and the reserved places of chunks.
    fn overhead_bytes(&self) -> u64 {
        let tables = self.series.capacity() * PLACE_BYTES
            + self.free.capacity() * size_of::<u32>()
            + table_bytes(&self.by_labels);
        (tables + self.index.heap_bytes()) as u64 + self.fixed_bytes
    }

    fn bytes(&self) -> u64 {
        self.overhead_bytes() + self.sample_bytes
    }

    fn limit(&self) -> u64 {
        self.retention.bytes as u64
    }

    /// Returns the bytes that new series may use at most, before samples: a quarter of the limit is left to samples, so that
    /// the histories of the series do not shrink to nothing.
    fn overhead_limit(&self) -> u64 {
        self.limit() / 4 * 3
    }

    /// Returns the overhead without the free places, which new series use.
    fn overhead_in_use(&self) -> u64 {
        let free = (self.free.len() * PLACE_BYTES) as u64;
        self.overhead_bytes().saturating_sub(free)
    }

    fn is_full(&self) -> bool {
        // The total may exceed the limit by a twentieth until the next append shortens histories.
        self.overhead_in_use() + ROOM_PER_SERIES > self.overhead_limit()
            || self.bytes() + ROOM_PER_SERIES > self.limit() + self.limit() / 20
    }

    /// Returns whether a new series is registered, possibly in the place of an idle series.
    pub(super) fn has_room(&self) -> bool {
        !self.is_full() || self.is_sweep_useful(self.now)
    }

    pub(super) fn register(&mut self, labels: &Labels) -> SeriesId {
        if let Some(&place) = self.by_labels.get(labels) {
            let epoch = self.series[place as usize].as_ref().map_or(0, |s| s.epoch);
            return SeriesId { place, epoch };
        }
        if self.is_full() {
            self.pressure.has_swept_early |= self.relieve(self.now);
            if self.is_full() {
                self.stats.refused_series += 1;
                return SeriesId::REFUSED;
            }
        }
        let labels = self.intern(labels);
        let epoch = self.next_epoch;
        self.next_epoch = self.next_epoch.wrapping_add(1);
        let mut series = Series::new(labels.clone(), epoch);
        let is_long = |selector: &Vec<Matcher>| selector.iter().all(|m| m.is_met_by(&labels));
        if self.long_selectors.iter().any(is_long) {
            series.keep_coarse();
        }
        self.stats.series += 1;
        self.fixed_bytes += series.fixed_bytes();
        let place = if let Some(place) = self.free.pop() {
            self.series[place as usize] = Some(series);
            place
        } else {
            // Steps of an eighth instead of doubling keep the unused memory small.
            if self.series.len() == self.series.capacity() {
                self.series.reserve_exact(self.series.len() / 8 + 4);
            }
            self.series.push(Some(series));
            u32::try_from(self.series.len() - 1).unwrap_or(u32::MAX)
        };
        self.index.insert(&labels, place);
        if let Entry::Vacant(entry) = self.by_labels.entry(labels) {
            entry.insert(place);
        }
        self.generation += 1;
        SeriesId { place, epoch }
    }

    /// Replaces names and values by stored copies: ten thousand series share a few hundred strings.
    fn intern(&self, labels: &Labels) -> Labels {
        let shared =
            labels.iter().map(
                |label| match self.index.intern(label.name(), label.value()) {
                    Some((name, Some(value))) => (name, value),
                    Some((name, None)) => (name, label.shared_value().clone()),
                    None => (label.shared_name().clone(), label.shared_value().clone()),
                },
            );
        Labels::from_pairs(shared)
    }

    fn get(&self, id: SeriesId) -> Option<&Series> {
        let series = self.series.get(id.place as usize)?.as_ref();
        series.filter(|series| series.epoch == id.epoch)
    }

    pub(super) fn append(&mut self, id: SeriesId, point: Point) -> bool {
        let interval = milliseconds(self.retention.coarse_interval);
        let slot = self
            .series
            .get_mut(id.place as usize)
            .and_then(Option::as_mut);
        let series = slot.filter(|series| series.epoch == id.epoch);
        let Some(series) =
            series.filter(|s| s.last().is_none_or(|last| last.timestamp < point.timestamp))
        else {
            self.stats.refused_samples += 1;
            return false;
        };
        let change = series.push(point, interval);
        self.stats.samples += change.samples;
        self.sample_bytes = self.sample_bytes.saturating_add_signed(change.bytes);
        true
    }

    pub(super) fn shift(&mut self, by_ms: i64) {
        for series in self.series.iter_mut().flatten() {
            series.shift(by_ms);
        }
        let pressure = &mut self.pressure;
        let times = [&mut self.now, &mut self.next_sweep, &mut pressure.next_idle];
        for time in times.into_iter().chain(&mut pressure.swept_at) {
            *time = time.saturating_add(by_ms);
        }
    }

    pub(super) fn keep_long(&mut self, selectors: Vec<Vec<Matcher>>) {
        for series in self.series.iter_mut().flatten() {
            let is_long = |s: &Vec<Matcher>| s.iter().all(|m| m.is_met_by(&series.labels));
            if selectors.iter().any(is_long) {
                self.fixed_bytes -= series.fixed_bytes();
                series.keep_coarse();
                self.fixed_bytes += series.fixed_bytes();
            }
        }
        self.long_selectors = selectors;
    }

    /// Drops the samples that are older than the retention and, above the memory limit, idle series and the oldest samples.
    pub(super) fn enforce_limits(&mut self, now: i64) {
        if now < self.now.saturating_sub(pressure::max_gap(&self.retention)) {
            // The clock has been set back, and the remembered times lie in the future.
            self.pressure.next_idle = i64::MIN;
        }
        self.now = now;
        let has_swept_early = std::mem::take(&mut self.pressure.has_swept_early);
        if has_swept_early || (self.bytes() > self.limit() && self.relieve(now)) {
            return;
        }
        if now >= self.next_sweep {
            let dropped = self.sweep(now, None);
            if dropped > 0 {
                self.pressure.max_bytes = self.limit();
            }
        }
    }

    /// Returns whether a sweep at the memory limit may free memory: a series may have become idle, or the samples have grown.
    fn is_sweep_useful(&self, now: i64) -> bool {
        let has_changed = now >= self.pressure.next_idle || self.bytes() > self.pressure.max_bytes;
        self.pressure.swept_at != Some(now) && has_changed
    }

    /// Frees a sixteenth of the memory limit, so that the next sweep is many ticks away. Returns whether it swept.
    fn relieve(&mut self, now: i64) -> bool {
        if !self.is_sweep_useful(now) {
            return false;
        }
        let reserve = self.limit() / 16;
        let excess = |used: u64, limit: u64| {
            let is_over = used + ROOM_PER_SERIES > limit;
            if is_over {
                used.saturating_sub(limit.saturating_sub(reserve))
            } else {
                0
            }
        };
        let need = Need {
            fixed: excess(self.overhead_in_use(), self.overhead_limit()),
            total: excess(self.bytes(), self.limit()),
        };
        let places = 0..u32::MAX;
        let all = places.zip(&self.series);
        let all = all.filter_map(|(place, series)| Some((place, series.as_ref()?)));
        let selection = pressure::select(all, &self.retention, now, need);
        self.sweep(now, Some(&selection));
        self.pressure.swept_at = Some(now);
        self.pressure.next_idle = selection.next_idle;
        self.pressure.max_bytes = match self.bytes() {
            bytes if bytes > self.limit() => bytes + reserve,
            _ => self.limit(),
        };
        true
    }

    /// Drops the samples that are older than the retention, and the selected content. Returns the number of dropped samples.
    fn sweep(&mut self, now: i64, selection: Option<&Selection>) -> u64 {
        self.stats.sweeps += 1;
        let keep = milliseconds(self.retention.time);
        self.next_sweep = now.saturating_add(keep / SWEEPS_PER_RETENTION);
        let expired = Cutoffs {
            recent: now.saturating_sub(keep),
            coarse: now.saturating_sub(milliseconds(self.retention.coarse_time)),
        };
        let idle_before = now.saturating_sub(pressure::max_gap(&self.retention));
        let idle_up_to = selection.and_then(|selection| selection.idle_up_to);
        let shortening = selection.map_or(Shortening::Nothing, |selection| selection.shortening);
        let mut removed = Vec::new();
        let (mut expired_samples, mut evicted_samples) = (0, 0);
        self.fixed_bytes = 0;
        self.sample_bytes = 0;
        for (place, entry) in (0..u32::MAX).zip(&mut self.series) {
            let Some(series) = entry else { continue };
            // A series that never had a sample has just been registered.
            let last = series.last_timestamp();
            let is_selected = last.is_some_and(|last| {
                last < idle_before && idle_up_to.is_some_and(|up_to| (last, place) <= up_to)
            });
            expired_samples += series.drop_before(expired);
            if is_selected || (last.is_some() && series.is_without_samples()) {
                evicted_samples += series.samples();
                removed.push((place, series.labels.clone()));
                *entry = None;
                continue;
            }
            evicted_samples += match shortening {
                Shortening::Nothing => 0,
                Shortening::Chunks(cutoffs) => series.shorten(cutoffs),
                Shortening::Samples(cutoffs) => series.trim(cutoffs),
            };
            // The sweep counts anew, so that the totals do not drift.
            self.fixed_bytes += series.fixed_bytes();
            self.sample_bytes += series.sample_bytes();
        }
        self.remove(&removed);
        let dropped = expired_samples + evicted_samples;
        self.stats.samples = self.stats.samples.saturating_sub(dropped);
        self.stats.evicted_samples += evicted_samples;
        dropped
    }

    /// Removes series, whose places are empty already, from the tables and the index.
    fn remove(&mut self, removed: &[(u32, Labels)]) {
        if removed.is_empty() {
            return;
        }
        self.index.remove(removed);
        for (place, labels) in removed {
            self.by_labels.remove(labels);
            self.free.push(*place);
        }
        self.generation += 1;
        self.stats.series = (self.series.len() - self.free.len()) as u64;
    }

    /// Returns the series that satisfy all matchers, in the order of their registration, as Prometheus's head block does:
    /// `topk` then keeps the same series of those with equal values.
    pub(crate) fn select(&self, matchers: &[Matcher]) -> Vec<SeriesId> {
        let all = || (0..u32::try_from(self.series.len()).unwrap_or(u32::MAX)).collect();
        let places = self.index.candidates(matchers).unwrap_or_else(all);
        let mut found = Vec::with_capacity(places.len());
        for place in places {
            let Some(series) = &self.series[place as usize] else {
                continue;
            };
            if matchers
                .iter()
                .all(|matcher| matcher.is_met_by(&series.labels))
            {
                let epoch = series.epoch;
                found.push(SeriesId { place, epoch });
            }
        }
        found.sort_unstable_by_key(|id| id.place);
        found.dedup();
        found
    }

    pub(crate) fn labels(&self, id: SeriesId) -> Option<&Labels> {
        self.get(id).map(|series| &series.labels)
    }

    /// Replaces `out` by the samples with `from <= time <= to`, without stale markers.
    pub(crate) fn window(&self, id: SeriesId, range: (i64, i64), out: &mut Vec<Point>) {
        self.window_with_stale(id, range, out);
        if out.iter().any(|point| super::is_stale(point.value)) {
            out.retain(|point| !super::is_stale(point.value));
        }
    }

    /// Replaces `out` by the samples with `from <= time <= to`, with stale markers.
    pub(crate) fn window_with_stale(&self, id: SeriesId, range: (i64, i64), out: &mut Vec<Point>) {
        out.clear();
        if let Some(series) = self.get(id) {
            series.window(range.0, range.1, out);
        }
    }

    /// Returns whether a sample other than a final stale marker lies at `from <= time <= to`.
    pub(super) fn has_sample(&self, id: SeriesId, from: i64, to: i64) -> bool {
        let Some(series) = self.get(id) else {
            return false;
        };
        match series.latest(from, to) {
            Some(last) if super::is_stale(last.value) => {
                series.latest(from, last.timestamp - 1).is_some()
            }
            found => found.is_some(),
        }
    }

    /// Returns the last sample with `from <= time <= to`, or `None` if that sample is a stale marker.
    pub(crate) fn latest(&self, id: SeriesId, from: i64, to: i64) -> Option<Point> {
        let found = self.get(id)?.latest(from, to);
        found.filter(|point| !super::is_stale(point.value))
    }
}
