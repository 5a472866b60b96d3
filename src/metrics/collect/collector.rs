//! Copies each series of the registry into the series store, once a tick.
//!
//! A counter or histogram that has counted before its first tick gets a sample of zero at the time of the previous tick,
//! so that `increase()` includes its first event. A Prometheus that scrapes the same page does not know that zero, and
//! misses the count of a series before its first scrape. Counters whose count comes from elsewhere (a network interface's
//! from the kernel, or a `metrics::counter!(…).absolute(…)`) did not start at zero in this process and get no zero.
//!
//! A series that idle expiry hides gets a stale marker, as a series that disappears from a scraped page does.

use std::{collections::HashMap, sync::Arc, time::Duration};

use crate::metrics::{
    exposition::{Moment, shown},
    registry::{Family, Histogram, LabelSet, Registry, Series, Tables},
};
use crate::query::{
    Label, Labels, LabelsBuilder,
    store::{SeriesId, SeriesStore},
};

/// Copies the series of a registry into a store.
pub(crate) struct Collector {
    store: Arc<SeriesStore>,
    interval: Duration,
    /// The copied series, by the address of the registry's series: the registry removes no series.
    known: HashMap<usize, Copied>,
    round: u64,
    /// The time of the last tick, in milliseconds since the epoch.
    last_tick: Option<i64>,
    /// True if the store refused samples of the last tick: it may have removed series.
    must_register: bool,
    tick: Tick,
}

/// The series of the store for a series of the registry: a single series, or the buckets, `_sum` and `_count` of a
/// histogram.
struct Copied {
    ids: Box<[SeriesId]>,
    /// The last round in which the series was shown.
    shown_in: u64,
}

/// The samples that a tick appends. Reused for its memory.
#[derive(Default)]
struct Tick {
    samples: Vec<(SeriesId, f64)>,
    /// The zeros of new series, for the time of the previous tick.
    zeros: Vec<(SeriesId, f64)>,
}

impl Collector {
    pub(crate) fn new(store: Arc<SeriesStore>, interval: Duration) -> Self {
        Self {
            store,
            interval,
            known: HashMap::new(),
            round: 0,
            last_tick: None,
            must_register: false,
            tick: Tick::default(),
        }
    }

    /// Copies the series that are shown at `moment`, with the time `now` in milliseconds since the epoch.
    pub(crate) fn collect(&mut self, registry: &Registry, moment: &Moment, now: i64) {
        self.round += 1;
        self.tick.samples.clear();
        self.tick.zeros.clear();
        for family in registry.families() {
            self.collect_family(registry, &family, moment);
        }
        self.must_register = false;
        let interval = i64::try_from(self.interval.as_millis()).unwrap_or(i64::MAX);
        // One interval ago, or the last tick if it is later. After a pause, there was no tick one interval ago.
        let earliest = now.saturating_sub(interval);
        let zero_time = self.last_tick.map_or(earliest, |last| last.max(earliest));
        if !self.tick.zeros.is_empty() && zero_time < now {
            self.store.append_tick(zero_time, &self.tick.zeros);
        }
        let accepted = self.store.append_tick(now, &self.tick.samples);
        self.must_register = accepted < self.tick.samples.len();
        self.mark_hidden(now);
        self.last_tick = Some(now);
    }

    /// Moves the time of the last tick by a step of the wall clock.
    pub(crate) fn shift(&mut self, by_ms: i64) {
        self.last_tick = self.last_tick.map(|last| last.saturating_add(by_ms));
    }

    fn collect_family(&mut self, registry: &Registry, family: &Family, moment: &Moment) {
        match &family.series {
            Tables::Counter(table) => {
                for series in shown(registry, &table.sorted(), moment) {
                    let value = series.value().as_f64();
                    let parts = || vec![labels(&family.name, &series.labels, None)];
                    self.copy(
                        series,
                        parts,
                        [value],
                        value > 0.0 && series.began_at_zero(),
                    );
                }
            }
            Tables::Gauge(table) => {
                for series in shown(registry, &table.sorted(), moment) {
                    let parts = || vec![labels(&family.name, &series.labels, None)];
                    self.copy(series, parts, [series.value()], false);
                }
            }
            Tables::Histogram(table, ..) => {
                for series in shown(registry, &table.sorted(), moment) {
                    let mut count = 0_u64;
                    let buckets = series.buckets().map(|observations| {
                        count = count.wrapping_add(observations);
                        count as f64
                    });
                    let mut values: Vec<f64> = buckets.collect();
                    values.extend([series.sum(), count as f64]);
                    let parts = || histogram_labels(&family.name, series);
                    self.copy(series, parts, values, count > 0);
                }
            }
        }
    }

    /// Adds the values of a series of the registry to the tick. `parts` gives its label sets in the store, in the order of
    /// `values`.
    fn copy<T>(
        &mut self,
        series: &Series<T>,
        parts: impl FnOnce() -> Vec<Labels>,
        values: impl IntoIterator<Item = f64>,
        has_counted: bool,
    ) {
        let address = std::ptr::from_ref(series).addr();
        let store = &self.store;
        let register = || parts().iter().map(|part| store.register(part)).collect();
        let mut is_new = false;
        let copied = self.known.entry(address).or_insert_with(|| {
            is_new = true;
            Copied {
                ids: Box::new([]),
                shown_in: 0,
            }
        });
        // The store may have removed a hidden series.
        let was_hidden = copied.shown_in.wrapping_add(1) != self.round;
        if is_new || was_hidden || self.must_register {
            copied.ids = register();
        }
        copied.shown_in = self.round;
        if is_new && has_counted {
            let zeros = copied.ids.iter().map(|id| (*id, 0.0));
            self.tick.zeros.extend(zeros);
        }
        let samples = copied.ids.iter().copied().zip(values);
        self.tick.samples.extend(samples);
    }

    /// Marks the end of the series that the last tick showed and this tick does not show.
    fn mark_hidden(&self, now: i64) {
        for copied in self.known.values() {
            if copied.shown_in.wrapping_add(1) == self.round {
                for id in &copied.ids {
                    self.store.mark_stale(*id, now);
                }
            }
        }
    }
}

/// Builds the label set of a series in the store: its name, its labels in the registry, and the bound of a bucket.
pub(crate) fn labels(name: &str, own: &LabelSet, le: Option<&str>) -> Labels {
    let mut builder = LabelsBuilder::default();
    builder.set(Label::new("__name__", name));
    for (key, value) in own.pairs() {
        builder.set(Label::new(key, value));
    }
    if let Some(le) = le {
        builder.set(Label::new("le", le));
    }
    builder.build()
}

/// Builds the label sets of the buckets, the sum and the count of a histogram.
fn histogram_labels(name: &str, series: &Series<Histogram>) -> Vec<Labels> {
    let bucket_name = format!("{name}_bucket");
    let bounds = series.bounds();
    let bucket = |bucket: usize| {
        let le = bounds.le().get(bucket).map_or("+Inf", String::as_str);
        labels(&bucket_name, &series.labels, Some(le))
    };
    let mut parts: Vec<Labels> = (0..bounds.len()).map(bucket).collect();
    parts.push(labels(&format!("{name}_sum"), &series.labels, None));
    parts.push(labels(&format!("{name}_count"), &series.labels, None));
    parts
}

#[cfg(test)]
mod tests;
