//! A metric and its series, under its limit.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, HashSet},
    hash::{Hash, Hasher},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use foldhash::fast::RandomState;

use super::{
    bounds::Bounds,
    cells::{Counter, Gauge, Histogram, Series},
    diagnostics::Diagnostics,
    identity::Canonical,
    label_set::LabelSet,
};
use crate::metrics::catalog::MetricKind;

/// Overflow series a metric may have beyond its limit; then one takes all.
const OVERFLOW_SERIES: usize = 64;

/// One metric: what it is, and its series.
pub(crate) struct Family {
    pub(crate) name: Box<str>,
    about: RwLock<About>,
    pub(crate) series: Tables,
    limit: Limit,
}

/// How many series a metric may have, and what becomes of the others.
#[derive(Clone)]
pub(crate) struct Limit {
    pub(crate) series: usize,
    /// Labels that every series gets, overflow series too.
    pub(crate) everywhere: Arc<BTreeMap<String, String>>,
    /// The labels of the last overflow series.
    pub(crate) last: Arc<LabelSet>,
}

/// What is said about a metric.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    pub(crate) help: Option<Arc<str>>,
    /// A unit that the name ends with, as `OpenMetrics` asks.
    pub(crate) unit: Option<&'static str>,
}

/// The series of a metric, by its kind.
pub(crate) enum Tables {
    Counter(Table<Counter>),
    Gauge(Table<Gauge>),
    Histogram(Table<Histogram>, Arc<Bounds>, Arc<Diagnostics>),
}

/// Whether a series is the one that was asked for, or one that stands for many.
pub(crate) struct Resolved<T> {
    pub(crate) series: Arc<Series<T>>,
    pub(crate) is_overflow: bool,
}

impl Family {
    pub(crate) fn new(name: &str, series: Tables, about: About, limit: Limit) -> Self {
        Self {
            name: name.into(),
            about: RwLock::new(about),
            series,
            limit,
        }
    }

    pub(crate) fn kind(&self) -> MetricKind {
        match self.series {
            Tables::Counter(_) => MetricKind::Counter,
            Tables::Gauge(_) => MetricKind::Gauge,
            Tables::Histogram(..) => MetricKind::Histogram,
        }
    }

    pub(crate) fn about(&self) -> About {
        self.about
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn describe(&self, about: About) {
        *self.about.write().unwrap_or_else(PoisonError::into_inner) = about;
    }

    pub(crate) fn len(&self) -> usize {
        match &self.series {
            Tables::Counter(table) => table.len(),
            Tables::Gauge(table) => table.len(),
            Tables::Histogram(table, ..) => table.len(),
        }
    }

    /// The counter with these canonical labels; `None` if this metric is no counter.
    pub(crate) fn counter(&self, labels: Canonical<'_>) -> Option<Resolved<Counter>> {
        let Tables::Counter(table) = &self.series else {
            return None;
        };
        Some(table.resolve(labels, &self.limit, Counter::default))
    }

    /// The gauge with these canonical labels; `None` if this metric is no gauge.
    pub(crate) fn gauge(&self, labels: Canonical<'_>) -> Option<Resolved<Gauge>> {
        let Tables::Gauge(table) = &self.series else {
            return None;
        };
        Some(table.resolve(labels, &self.limit, Gauge::default))
    }

    /// The histogram with these canonical labels; `None` if this metric is no histogram.
    pub(crate) fn histogram(&self, labels: Canonical<'_>) -> Option<Resolved<Histogram>> {
        let Tables::Histogram(table, bounds, diagnostics) = &self.series else {
            return None;
        };
        Some(table.resolve(labels, &self.limit, || {
            Histogram::new(Arc::clone(bounds), Arc::clone(diagnostics))
        }))
    }
}

/// Series found by their labels. Append-only: a handle that somebody holds is never orphaned.
pub(crate) struct Table<T> {
    known: RwLock<HashSet<ByLabels<T>, RandomState>>,
    /// In the order in which they are written, as of the last time somebody asked.
    sorted: Mutex<Arc<[Arc<Series<T>>]>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            known: RwLock::default(),
            sorted: Mutex::new(Arc::new([])),
        }
    }
}

impl<T> Table<T> {
    fn len(&self) -> usize {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// All series, sorted by their labels. Nobody who records waits while they are sorted or written.
    pub(crate) fn sorted(&self) -> Arc<[Arc<Series<T>>]> {
        let mut sorted = self.sorted.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.len() != sorted.len() {
            let mut all: Vec<_> = known.iter().map(|series| Arc::clone(&series.0)).collect();
            drop(known);
            all.sort_unstable_by(|a, b| (*a.labels).cmp(&*b.labels));
            *sorted = all.into();
        }
        Arc::clone(&sorted)
    }

    fn resolve(&self, labels: Canonical<'_>, limit: &Limit, make: impl Fn() -> T) -> Resolved<T> {
        if let Some(series) = self.get(labels.text()) {
            return Resolved {
                series,
                is_overflow: false,
            };
        }
        let set = || labels.to_set();
        if let Some(series) = self.insert(labels.text(), set, limit.series, &make) {
            return Resolved {
                series,
                is_overflow: false,
            };
        }
        let folded = labels.folded(&limit.everywhere);
        let overflow_limit = limit.series + OVERFLOW_SERIES;
        let last = || LabelSet::clone(&limit.last);
        let series = self
            .get(&folded)
            .or_else(|| self.insert(&folded, || folded.clone(), overflow_limit, &make))
            // The label names vary too, or labels that count as bounded are not: the last overflow series, for which
            // there is always room.
            .or_else(|| self.insert(&limit.last, last, usize::MAX, &make))
            .unwrap_or_else(|| {
                Arc::new(Series {
                    labels: folded.clone(),
                    cell: make(),
                })
            });
        Resolved {
            series,
            is_overflow: true,
        }
    }

    fn get(&self, labels: &str) -> Option<Arc<Series<T>>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(labels).map(|series| Arc::clone(&series.0))
    }

    /// Returns the series with these labels, after adding it unless the table is full.
    fn insert(
        &self,
        text: &str,
        labels: impl FnOnce() -> LabelSet,
        limit: usize,
        make: impl Fn() -> T,
    ) -> Option<Arc<Series<T>>> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been first.
        if let Some(series) = known.get(text) {
            return Some(Arc::clone(&series.0));
        }
        if known.len() >= limit {
            return None;
        }
        let series = Arc::new(Series {
            labels: labels(),
            cell: make(),
        });
        known.insert(ByLabels(Arc::clone(&series)));
        Some(series)
    }
}

/// A series that is found by its labels.
struct ByLabels<T>(Arc<Series<T>>);

impl<T> Borrow<str> for ByLabels<T> {
    fn borrow(&self) -> &str {
        &self.0.labels
    }
}

impl<T> Hash for ByLabels<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (*self.0.labels).hash(state);
    }
}

impl<T> PartialEq for ByLabels<T> {
    fn eq(&self, other: &Self) -> bool {
        *self.0.labels == *other.0.labels
    }
}

impl<T> Eq for ByLabels<T> {}
