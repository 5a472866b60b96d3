//! The one registry: every series of the process, the observatory's, the application's, its libraries'.
//!
//! It implements [`metrics::Recorder`], so `metrics::counter!` anywhere in the process lands here. Recording
//! touches atomics only; a lock is taken to find a series, not to write to it. Series are never removed, so
//! a handle that somebody keeps is good for ever; their number is bounded per metric.

mod bounds;
mod cells;
mod diagnostics;
mod exemplar;
mod expiry;
mod family;
pub(crate) mod identity;
mod recorder;
mod striped;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

pub use self::bounds::BucketsError;
pub(crate) use self::bounds::check as check_buckets;
pub(crate) use self::{
    bounds::Bounds,
    cells::{Counter, Gauge, Histogram, Series},
    diagnostics::Diagnostics,
    exemplar::Exemplar,
    family::{About, Family, Tables},
};
use self::{
    expiry::Expiry,
    family::{Limit, Resolved},
};
use super::catalog::{self, CATALOG, DEFAULT_BUCKETS, Metric, MetricKind};
use crate::observation::{Dropped, OVERFLOW};

/// Metrics there can be; a name made of an id must not fill the memory.
const METRICS_LIMIT: usize = 2_000;
/// Series that any limit allows at most.
pub(crate) const MAX_SERIES: usize = 1_000_000;

/// How a registry is made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RegistryOptions {
    /// Goes before the names of the catalog that take one. Default: `llm_router_`.
    pub prefix: String,
    /// Series a metric may have; those beyond fold into an overflow series. Default: 2,000.
    pub series_limit: usize,
    /// Labels that every series gets. A series' own label of that name stands over it. Default: none.
    pub labels: BTreeMap<String, String>,
    /// Buckets of the application's histograms, by full name, prefix or suffix; the first that matches counts.
    pub buckets: Vec<(BucketsFor, Vec<f64>)>,
    /// A series that did not change for this long is not shown until it does. Default: never.
    pub idle_timeout: Option<Duration>,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self {
            prefix: "llm_router_".to_owned(),
            series_limit: crate::observation::interner::DEFAULT_LIMIT,
            labels: BTreeMap::new(),
            buckets: Vec::new(),
            idle_timeout: None,
        }
    }
}

impl RegistryOptions {
    /// Sets what goes before the names of the catalog that take it.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets how many series a metric may have, up to a million.
    #[must_use]
    pub const fn with_series_limit(mut self, limit: usize) -> Self {
        self.series_limit = limit;
        self
    }

    /// Adds a label that every series gets.
    #[must_use]
    pub fn with_label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// Adds buckets for some histograms; the first that match count.
    #[must_use]
    pub fn with_buckets(mut self, which: BucketsFor, upper: impl Into<Vec<f64>>) -> Self {
        self.buckets.push((which, upper.into()));
        self
    }

    /// Sets after which time without a change a series is not shown until its next.
    #[must_use]
    pub const fn with_idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = Some(timeout);
        self
    }
}

/// Which histograms some buckets are for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BucketsFor {
    /// The one with this name.
    Name(String),
    /// Those whose names begin so.
    Prefix(String),
    /// Those whose names end so.
    Suffix(String),
}

impl BucketsFor {
    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Name(full) => name == full,
            Self::Prefix(prefix) => name.starts_with(prefix.as_str()),
            Self::Suffix(suffix) => name.ends_with(suffix.as_str()),
        }
    }
}

/// Every series of the process. Cheap to clone; clones are the same registry.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    options: RegistryOptions,
    buckets: Vec<(BucketsFor, Arc<Bounds>)>,
    default_bounds: Arc<Bounds>,
    everywhere: Arc<BTreeMap<String, String>>,
    /// The labels of the series that takes what no other can.
    last: Arc<str>,
    families: RwLock<BTreeMap<Box<str>, Arc<Family>>>,
    /// Descriptions of metrics that have no series yet.
    described: Mutex<HashMap<String, About>>,
    diagnostics: Arc<Diagnostics>,
    expiry: Option<Expiry>,
}

impl Registry {
    /// An empty registry.
    ///
    /// # Errors
    ///
    /// If configured buckets do not ascend, are not finite, are none or more than 254.
    pub fn new(options: RegistryOptions) -> Result<Self, BucketsError> {
        let buckets = options
            .buckets
            .iter()
            .map(|(which, upper)| Ok((which.clone(), Arc::new(Bounds::new(upper)?))))
            .collect::<Result<_, BucketsError>>()?;
        let registry = Self(Arc::new(Inner {
            buckets,
            default_bounds: Arc::new(Bounds::known(DEFAULT_BUCKETS)),
            everywhere: Arc::new(options.labels.clone()),
            last: last_labels(&options.labels),
            families: RwLock::default(),
            described: Mutex::default(),
            diagnostics: Arc::default(),
            expiry: options.idle_timeout.map(Expiry::new),
            options,
        }));
        for reason in Dropped::ALL {
            let series = registry.counter(
                &catalog::DROPPED_OBSERVATIONS,
                &[("reason", reason.as_str())],
            );
            registry.0.diagnostics.count_in(reason, series);
        }
        Ok(registry)
    }

    /// The prefix of the catalog's names.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.0.options.prefix
    }

    pub(crate) fn diagnostics(&self) -> &Arc<Diagnostics> {
        &self.0.diagnostics
    }

    pub(crate) fn expiry(&self) -> Option<&Expiry> {
        self.0.expiry.as_ref()
    }

    /// Every metric, by name.
    pub(crate) fn families(&self) -> Vec<Arc<Family>> {
        self.0
            .families
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// The number of series of all metrics.
    #[cfg(feature = "server")]
    pub(crate) fn series_count(&self) -> usize {
        self.families().iter().map(|family| family.len()).sum()
    }

    /// The sum of all series of a counter.
    pub(crate) fn counter_total(&self, name: &str) -> u64 {
        let family = self.family(name);
        family.map_or(0, |family| match &family.series {
            Tables::Counter(table) => {
                let series = table.sorted();
                series.iter().map(|series| series.value().whole).sum()
            }
            Tables::Gauge(_) | Tables::Histogram(..) => 0,
        })
    }

    /// The metric with this full name.
    pub(crate) fn family(&self, name: &str) -> Option<Arc<Family>> {
        self.0
            .families
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    /// A counter of the catalog.
    pub(crate) fn counter(&self, metric: &Metric, labels: &[(&str, &str)]) -> Arc<Series<Counter>> {
        self.of_catalog(metric, labels, Family::counter, Counter::default)
    }

    /// A gauge of the catalog.
    pub(crate) fn gauge(&self, metric: &Metric, labels: &[(&str, &str)]) -> Arc<Series<Gauge>> {
        self.of_catalog(metric, labels, Family::gauge, Gauge::default)
    }

    /// A histogram of the catalog.
    pub(crate) fn histogram(
        &self,
        metric: &Metric,
        labels: &[(&str, &str)],
    ) -> Arc<Series<Histogram>> {
        self.of_catalog(metric, labels, Family::histogram, || {
            Histogram::new(
                Arc::new(Bounds::known(metric.buckets)),
                Arc::clone(&self.0.diagnostics),
            )
        })
    }

    /// A series was refused because `metric` has reached its limit.
    pub(crate) fn count_overflow(&self, metric: &str) {
        // The observatory's own metrics have room for every metric there can be, so this does not come back here.
        self.counter(&catalog::SERIES_OVERFLOWED, &[("metric", metric)])
            .add(1);
    }

    fn of_catalog<T>(
        &self,
        metric: &Metric,
        labels: &[(&str, &str)],
        find: impl Fn(&Family, &str) -> Option<Resolved<T>>,
        orphan: impl FnOnce() -> T,
    ) -> Arc<Series<T>> {
        let name = metric.full_name(&self.0.options.prefix);
        let resolved = self
            .family_or_new(&name, metric.kind, Some(metric))
            .and_then(|family| {
                let resolved =
                    self.with_labels(labels.iter().copied(), |text| find(&family, text))?;
                Some((family, resolved))
            });
        match resolved {
            Some((family, resolved)) => {
                if resolved.is_overflow {
                    self.count_overflow(&family.name);
                }
                resolved.series
            }
            // The application took the name for another kind of metric: recorded into nothing, and counted.
            None => Arc::new(Series {
                labels: "".into(),
                cell: orphan(),
            }),
        }
    }

    /// Calls `find` with the canonical text of `labels` and the labels that every series gets.
    fn with_labels<'a, R>(
        &'a self,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        find: impl FnOnce(&str) -> R,
    ) -> R {
        let everywhere = self
            .0
            .options
            .labels
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        let labels = labels.inspect(|(_, value)| {
            if value.len() > identity::MAX_VALUE_BYTES {
                self.0.diagnostics.dropped(Dropped::Truncated);
            }
        });
        identity::with_label_text(everywhere.chain(labels), find)
    }

    /// The metric with this canonical name; made if it is new. `None` if the name is taken for another kind, or
    /// there are too many metrics.
    fn family_or_new(
        &self,
        name: &str,
        kind: MetricKind,
        known: Option<&Metric>,
    ) -> Option<Arc<Family>> {
        if let Some(family) = self.family(name) {
            return self.checked(family, kind);
        }
        let mut families = self
            .0
            .families
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(family) = families.get(name) {
            return self.checked(Arc::clone(family), kind);
        }
        if families.len() >= METRICS_LIMIT - CATALOG.len() && known.is_none() {
            self.0.diagnostics.dropped(Dropped::TooManyMetrics);
            return None;
        }
        if let Some(other) = clash(&families, name, kind) {
            self.0.diagnostics.kind_conflict(name, &other);
            return None;
        }
        let family = Arc::new(self.new_family(name, kind, known));
        families.insert(name.into(), Arc::clone(&family));
        Some(family)
    }

    fn checked(&self, family: Arc<Family>, kind: MetricKind) -> Option<Arc<Family>> {
        if family.kind() == kind {
            return Some(family);
        }
        self.0
            .diagnostics
            .kind_conflict(&family.name, family.kind().as_str());
        None
    }

    fn new_family(&self, name: &str, kind: MetricKind, known: Option<&Metric>) -> Family {
        let tables = match kind {
            MetricKind::Counter => Tables::Counter(family::Table::default()),
            MetricKind::Gauge => Tables::Gauge(family::Table::default()),
            MetricKind::Histogram => Tables::Histogram(
                family::Table::default(),
                self.bounds_of(name, known),
                Arc::clone(&self.0.diagnostics),
            ),
        };
        let about = if let Some(metric) = known {
            About {
                help: Some(metric.help.into()),
                unit: unit_of(name),
            }
        } else {
            let mut described = self
                .0
                .described
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            described.remove(name).unwrap_or_else(|| About {
                help: None,
                unit: unit_of(name),
            })
        };
        let series = if is_own(name) {
            METRICS_LIMIT
        } else {
            self.0.options.series_limit.min(MAX_SERIES)
        };
        let limit = Limit {
            series,
            everywhere: Arc::clone(&self.0.everywhere),
            last: Arc::clone(&self.0.last),
        };
        Family::new(name, tables, about, limit)
    }

    fn bounds_of(&self, name: &str, known: Option<&Metric>) -> Arc<Bounds> {
        let configured = self.0.buckets.iter().find(|(which, _)| which.matches(name));
        match (configured, known) {
            (Some((_, bounds)), _) => Arc::clone(bounds),
            (None, Some(metric)) => Arc::new(Bounds::known(metric.buckets)),
            (None, None) => Arc::clone(&self.0.default_bounds),
        }
    }

    /// Says what a metric is; before its first series, or after.
    fn describe(&self, name: &str, help: &str) {
        let about = About {
            help: Some(help.into()),
            unit: unit_of(name),
        };
        if let Some(family) = self.family(name) {
            family.describe(about);
        } else {
            let mut described = self
                .0
                .described
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if described.len() < METRICS_LIMIT {
                described.insert(name.to_owned(), about);
            }
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("options", &self.0.options)
            .finish_non_exhaustive()
    }
}

/// `overflow="_other"` beside what every series gets.
fn last_labels(everywhere: &BTreeMap<String, String>) -> Arc<str> {
    let everywhere = everywhere
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    identity::with_label_text(everywhere.chain([("overflow", OVERFLOW)]), |text| {
        Arc::from(text)
    })
}

/// Whether a metric is the observatory's about itself; those have labels that are bounded by construction.
fn is_own(name: &str) -> bool {
    name.starts_with("observatory_")
}

/// A metric that would write samples under the same name: a histogram `x` and a counter `x_count`, say.
fn clash(
    families: &BTreeMap<Box<str>, Arc<Family>>,
    name: &str,
    kind: MetricKind,
) -> Option<String> {
    const PARTS: [&str; 3] = ["_bucket", "_sum", "_count"];
    if kind == MetricKind::Histogram
        && let Some(part) = PARTS
            .iter()
            .map(|part| format!("{name}{part}"))
            .find(|part| families.contains_key(part.as_str()))
    {
        return Some(part);
    }
    let whole = PARTS.iter().find_map(|part| name.strip_suffix(part))?;
    families
        .get(whole)
        .filter(|family| family.kind() == MetricKind::Histogram)
        .map(|family| format!("histogram {}", family.name))
}

/// The unit that a name says it is in. `OpenMetrics` wants a unit to be the name's suffix, so the name decides.
fn unit_of(name: &str) -> Option<&'static str> {
    const UNITS: [&str; 5] = ["seconds", "bytes", "ratio", "celsius", "joules"];
    let name = name.strip_suffix("_total").unwrap_or(name);
    UNITS.into_iter().find(|unit| {
        name.strip_suffix(unit)
            .is_some_and(|rest| rest.ends_with('_'))
    })
}
