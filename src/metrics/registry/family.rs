//! A metric with its series and its series limit.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, HashMap, HashSet},
    hash::{BuildHasher as _, Hash, Hasher},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use foldhash::fast::RandomState;

use super::{
    bounds::Bounds,
    cells::{Counter, Gauge, Histogram, Series},
    diagnostics::Diagnostics,
    identity::{Canonical, with_canonical},
    label_set::LabelSet,
};
use crate::{metrics::catalog::MetricKind, privacy::Redaction, runtime::lock};

/// Max overflow series of a metric beyond its limit; a last series takes the rest.
const MAX_OVERFLOW_SERIES: usize = 64;

/// A metric: description and series.
pub(crate) struct Family {
    pub(crate) name: Box<str>,
    about: RwLock<About>,
    pub(crate) series: Tables,
    limit: Limit,
}

/// The rules for the series of a metric: the series limit, the masks of labels, and the labels of overflow series.
#[derive(Clone)]
pub(crate) struct Limit {
    pub(crate) series: usize,
    /// Masks the labels of a new series.
    pub(crate) redaction: Arc<Redaction>,
    /// Labels that every series gets, overflow series included.
    pub(crate) everywhere: Arc<BTreeMap<String, String>>,
    /// The labels of the last overflow series.
    pub(crate) last: Arc<LabelSet>,
}

/// The description of a metric.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    pub(crate) help: Option<Arc<str>>,
    /// The unit that the name ends with, as `OpenMetrics` requires.
    pub(crate) unit: Option<&'static str>,
}

/// The series of a metric, by its kind.
pub(crate) enum Tables {
    Counter(Table<Counter>),
    Gauge(Table<Gauge>),
    Histogram(Table<Histogram>, Arc<Bounds>, Arc<Diagnostics>),
}

/// A series, and whether it is an overflow series.
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

    /// Returns the counter with these canonical labels; `None` if this metric is no counter.
    pub(crate) fn counter(&self, labels: Canonical<'_>) -> Option<Resolved<Counter>> {
        let Tables::Counter(table) = &self.series else {
            return None;
        };
        Some(table.resolve(labels, &self.limit, Counter::default))
    }

    /// Returns the gauge with these canonical labels; `None` if this metric is no gauge.
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

/// The series of a metric, by labels. The table is append-only, so that a handle stays valid.
pub(crate) struct Table<T> {
    known: RwLock<HashSet<ByLabels<T>, RandomState>>,
    /// The series of labels that contain a secret, by the hash of these labels, so that the masks run once for each label
    /// set and the secret itself is not stored. Bounded by the series limit.
    masked: RwLock<HashMap<u64, Arc<Series<T>>>>,
    hasher: RandomState,
    /// The series sorted by labels, as of the last call of [`Table::sorted`].
    sorted: Mutex<Arc<[Arc<Series<T>>]>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            known: RwLock::default(),
            masked: RwLock::default(),
            hasher: RandomState::default(),
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

    /// Returns all series, sorted by labels. Recording does not wait for the sort.
    pub(crate) fn sorted(&self) -> Arc<[Arc<Series<T>>]> {
        let mut sorted = lock(&self.sorted);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.len() != sorted.len() {
            let mut all: Vec<_> = known.iter().map(|series| Arc::clone(&series.0)).collect();
            drop(known);
            all.sort_unstable_by(|a, b| str::cmp(&a.labels, &b.labels));
            *sorted = all.into();
        }
        Arc::clone(&sorted)
    }

    /// Returns the series with these labels, after masking secrets in the labels of an unknown series.
    fn resolve(&self, labels: Canonical<'_>, limit: &Limit, make: impl Fn() -> T) -> Resolved<T> {
        let known = self.get(labels.text());
        if let Some(series) = known.or_else(|| self.get_masked(labels)) {
            return Resolved {
                series,
                is_overflow: false,
            };
        }
        match labels.masked(&limit.redaction) {
            None => self.resolve_clean(labels, limit, make),
            Some(masked) => {
                let pairs = masked.iter().map(|(key, value)| (*key, &**value));
                let resolved =
                    with_canonical(pairs, |labels| self.resolve_clean(labels, limit, make));
                self.remember_masked(labels, &resolved, limit.series);
                resolved
            }
        }
    }

    fn get_masked(&self, labels: Canonical<'_>) -> Option<Arc<Series<T>>> {
        let masked = self.masked.read().unwrap_or_else(PoisonError::into_inner);
        if masked.is_empty() {
            return None;
        }
        masked.get(&self.hasher.hash_one(labels.text())).cloned()
    }

    fn remember_masked(&self, labels: Canonical<'_>, found: &Resolved<T>, limit: usize) {
        let mut masked = self.masked.write().unwrap_or_else(PoisonError::into_inner);
        if !found.is_overflow && masked.len() < limit {
            let hash = self.hasher.hash_one(labels.text());
            masked.insert(hash, Arc::clone(&found.series));
        }
    }

    /// Returns the series with these labels, which contain no secret.
    fn resolve_clean(
        &self,
        labels: Canonical<'_>,
        limit: &Limit,
        make: impl Fn() -> T,
    ) -> Resolved<T> {
        let set = || labels.label_set();
        if let Some(series) = self.insert(labels.text(), set, limit.series, &make) {
            return Resolved {
                series,
                is_overflow: false,
            };
        }
        let folded = labels.folded(&limit.everywhere);
        let overflow_limit = limit.series + MAX_OVERFLOW_SERIES;
        let last = || LabelSet::clone(&limit.last);
        let series = self
            .get(&folded)
            .or_else(|| self.insert(&folded, || folded.clone(), overflow_limit, &make))
            // The keys vary, or the values of bounded labels: the last overflow series, which is always allowed.
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
        // Another thread may have inserted the series.
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

/// A series, hashed and compared by its labels.
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
