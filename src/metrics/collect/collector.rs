//! Copies every series of the registry into the store, once a tick.
//!
//! A counter or histogram that has counted before it is first seen gets a zero at the time of the tick before,
//! so that `increase()` sees its first event. A Prometheus that scrapes the same page cannot know that zero, and
//! misses what a series counts before its first scrape. Counts that somebody else keeps (the kernel's of a network
//! interface, or what `metrics::counter!(…).absolute(…)` shows) did not begin at zero with us and get none.
//!
//! A series that idle expiry hides gets a stale marker, as one that is gone from a scraped page does.

use std::{collections::HashMap, sync::Arc, time::Duration};

use crate::metrics::{
    exposition::{Fingerprint, Moment, is_shown},
    registry::{Family, Histogram, LabelSet, Registry, Series, Tables},
};
use crate::query::{
    Label, Labels, LabelsBuilder,
    store::{SeriesId, SeriesStore},
};

/// Copies a registry into a store.
pub(crate) struct Collector {
    store: Arc<SeriesStore>,
    interval: Duration,
    /// By the address of the registry's series, which never goes.
    known: HashMap<usize, Copied>,
    round: u64,
    /// Time of the last tick.
    before: Option<i64>,
    /// The store did not take everything: it may have dropped series that were known.
    is_to_register_again: bool,
    tick: Tick,
}

/// A series of the registry, and what stands for it in the store: one series, or one a bucket, `_sum` and `_count`.
struct Copied {
    ids: Box<[SeriesId]>,
    /// The round in which it was last shown.
    shown_in: u64,
}

/// What one tick appends. Kept for its memory.
#[derive(Default)]
struct Tick {
    samples: Vec<(SeriesId, f64)>,
    /// Zeros of those that are new, a tick earlier.
    zeros: Vec<(SeriesId, f64)>,
}

impl Collector {
    pub(crate) fn new(store: Arc<SeriesStore>, interval: Duration) -> Self {
        Self {
            store,
            interval,
            known: HashMap::new(),
            round: 0,
            before: None,
            is_to_register_again: false,
            tick: Tick::default(),
        }
    }

    /// Copies what is shown at `moment`, as of `now` in milliseconds since the epoch.
    pub(crate) fn collect(&mut self, registry: &Registry, moment: &Moment, now: i64) {
        self.round += 1;
        self.tick.samples.clear();
        self.tick.zeros.clear();
        for family in registry.families() {
            self.collect_family(registry, &family, moment);
        }
        self.is_to_register_again = false;
        let interval = i64::try_from(self.interval.as_millis()).unwrap_or(i64::MAX);
        // A tick earlier, or the tick before where that is later; after a pause there was none in between.
        let earlier = now.saturating_sub(interval);
        let before = self.before.map_or(earlier, |before| before.max(earlier));
        if !self.tick.zeros.is_empty() && before < now {
            self.store.append_tick(before, &self.tick.zeros);
        }
        let taken = self.store.append_tick(now, &self.tick.samples);
        self.is_to_register_again = taken < self.tick.samples.len();
        self.mark_hidden(now);
        self.before = Some(now);
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

    /// Notes the values of one series of the registry. `parts` are its label sets in the store, in the order of
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
        // While it was hidden, the store may have forgotten it.
        let was_hidden = copied.shown_in.wrapping_add(1) != self.round;
        if is_new || was_hidden || self.is_to_register_again {
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

    /// Ends the series that were shown at the last tick and are not at this one.
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

fn shown<'a, T: Fingerprint>(
    registry: &'a Registry,
    all: &'a [Arc<Series<T>>],
    moment: &'a Moment,
) -> impl Iterator<Item = &'a Series<T>> {
    all.iter()
        .map(|series| &**series)
        .filter(|series| is_shown(registry, series, moment))
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

/// The label set of each bucket, of the sum and of the count.
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
