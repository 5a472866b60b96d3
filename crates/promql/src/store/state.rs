//! The state behind the lock of a store: the series, their index and the limits.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};

use super::chunk::Point;
use super::index::Index;
use super::retention::{Retention, milliseconds};
use super::series::Series;
use super::{SeriesId, StoreStats};
use crate::labels::Labels;
use crate::matcher::Matcher;

/// The estimated bytes of a series in the index and the tables: an entry in four maps and lists.
const INDEX_BYTES_PER_SERIES: u64 = 160;
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
    stats: StoreStats,
    next_sweep: i64,
    store: u64,
    generation: u64,
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
            next_sweep: i64::MIN,
            store: NEXT_STORE.fetch_add(1, Ordering::Relaxed),
            generation: 0,
        }
    }

    /// Returns a value that changes whenever a series is added or removed, which invalidates cached selections.
    pub(crate) fn version(&self) -> (u64, u64) {
        (self.store, self.generation)
    }

    pub(super) fn stats(&self) -> StoreStats {
        self.stats
    }

    pub(super) fn register(&mut self, labels: &Labels) -> SeriesId {
        if let Some(&place) = self.by_labels.get(labels) {
            let epoch = self.series[place as usize].as_ref().map_or(0, |s| s.epoch);
            return SeriesId { place, epoch };
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
        self.stats.bytes += series.heap_bytes() + INDEX_BYTES_PER_SERIES;
        let place = if let Some(place) = self.free.pop() {
            self.series[place as usize] = Some(series);
            place
        } else {
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
        self.stats.bytes += change.bytes;
        true
    }

    pub(super) fn keep_long(&mut self, selectors: Vec<Vec<Matcher>>) {
        for series in self.series.iter_mut().flatten() {
            let is_long = |s: &Vec<Matcher>| s.iter().all(|m| m.is_met_by(&series.labels));
            if selectors.iter().any(is_long) {
                series.keep_coarse();
            }
        }
        self.long_selectors = selectors;
    }

    /// Drops the samples that are older than the retention, and then the oldest samples until the memory limit holds.
    pub(super) fn enforce_limits(&mut self, now: i64) {
        let keep = milliseconds(self.retention.time);
        let limit = self.retention.bytes as u64;
        if now < self.next_sweep && self.stats.bytes <= limit {
            return;
        }
        self.next_sweep = now.saturating_add(keep / SWEEPS_PER_RETENTION);
        let coarse_keep = milliseconds(self.retention.coarse_time);
        self.sweep(now.saturating_sub(keep), now.saturating_sub(coarse_keep));
        // The store is still over its memory limit: shorten the retention by a twentieth at a time until the samples fit.
        let samples_before = self.stats.samples;
        let mut twentieths = 1;
        while self.stats.bytes > limit && twentieths <= 20 {
            let keep = |kept: i64| now.saturating_sub(kept / 20 * (20 - twentieths));
            self.sweep(keep(milliseconds(self.retention.time)), keep(coarse_keep));
            twentieths += 1;
        }
        self.stats.evicted_samples += samples_before.saturating_sub(self.stats.samples);
    }

    fn sweep(&mut self, recent: i64, coarse: i64) {
        let mut samples = 0;
        let mut bytes = 0;
        for place in 0..self.series.len() {
            let Some(series) = &mut self.series[place] else {
                continue;
            };
            // A series that never had a sample has just been registered.
            let had_samples = !series.is_without_samples();
            let change = series.drop_before(recent, coarse);
            if had_samples && series.is_without_samples() {
                let place = u32::try_from(place).unwrap_or(u32::MAX);
                self.index.remove(&series.labels, place);
                self.by_labels.remove(&series.labels);
                self.series[place as usize] = None;
                self.free.push(place);
                self.generation += 1;
            } else if let Some(series) = &self.series[place] {
                bytes += series.heap_bytes() + INDEX_BYTES_PER_SERIES;
            }
            samples += change.samples;
        }
        self.stats.samples = self.stats.samples.saturating_sub(samples);
        // The sweep counts anew, so that estimates do not drift.
        self.stats.bytes = bytes;
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
