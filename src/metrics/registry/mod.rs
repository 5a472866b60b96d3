//! The registry of all series of the process: of the observatory, of the application and of its libraries.
//!
//! The registry implements [`metrics::Recorder`], so `metrics::counter!` in any crate records into it. A recording writes
//! atomics; only the look-up of a series takes a lock. The registry never removes a series, so a handle stays valid; each
//! metric has a limit of series.

mod bounds;
mod cells;
mod diagnostics;
mod exemplar;
mod expiry;
mod family;
pub(crate) mod identity;
mod label_set;
mod options;
mod recorder;
mod striped;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

pub(crate) use self::bounds::check as check_buckets;
pub(crate) use self::{
    bounds::Bounds,
    cells::{Counter, Gauge, Histogram, Series},
    diagnostics::Diagnostics,
    exemplar::Exemplar,
    family::{About, Family, Tables},
    label_set::LabelSet,
};
pub use self::{
    bounds::BucketsError,
    options::{BucketsFor, RegistryOptions},
};
use self::{
    expiry::Expiry,
    family::{Limit, Resolved},
    identity::Canonical,
};
use super::catalog::{self, CATALOG, DEFAULT_BUCKETS, Metric, MetricKind};
use crate::{
    observation::{Dropped, OVERFLOW},
    privacy::{Redaction, RedactionConfig},
    runtime::lock,
};

/// Max metrics. The limit bounds the memory if the application puts an id into a metric name.
const MAX_METRICS: usize = 2_000;
/// Upper bound of the configured series limit.
pub(crate) const MAX_SERIES: usize = 1_000_000;

/// The registry of all series of the process. Clones share the same series.
///
/// Keys and tokens in the value of a label are masked before the first series with this label set is created, so that no
/// reader of the registry gets them. A known label set is not searched again.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    options: RegistryOptions,
    buckets: Vec<(BucketsFor, Arc<Bounds>)>,
    default_bounds: Arc<Bounds>,
    everywhere: Arc<BTreeMap<String, String>>,
    /// Labels of the last overflow series.
    last: Arc<LabelSet>,
    families: RwLock<BTreeMap<Box<str>, Arc<Family>>>,
    /// Descriptions of metrics without series.
    described: Mutex<HashMap<String, About>>,
    diagnostics: Arc<Diagnostics>,
    expiry: Option<Expiry>,
    redaction: Arc<Redaction>,
}

impl Registry {
    /// Returns an empty registry.
    ///
    /// # Errors
    ///
    /// Returns an error if configured buckets are not ascending and finite, or if a list has no bucket or more than 254.
    pub fn new(options: RegistryOptions) -> Result<Self, BucketsError> {
        let redaction = RedactionConfig {
            masks: options.masks,
            ..RedactionConfig::default()
        };
        Self::with_redaction(options, Arc::new(Redaction::without_patterns(&redaction)))
    }

    /// Returns an empty registry that masks labels by `redaction`, which the caller shares with spans and log lines.
    pub(crate) fn with_redaction(
        options: RegistryOptions,
        redaction: Arc<Redaction>,
    ) -> Result<Self, BucketsError> {
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
            redaction,
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

    /// Returns the prefix of the catalog's names.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.0.options.prefix
    }

    pub(crate) fn diagnostics(&self) -> &Arc<Diagnostics> {
        &self.0.diagnostics
    }

    /// Counts a dropped observation; the log shows `what` with its secrets masked.
    pub(crate) fn dropped_with(&self, reason: Dropped, what: &str) {
        let masked = || self.0.redaction.label("", what);
        self.0.diagnostics.dropped_with(reason, what, masked);
    }

    pub(crate) fn expiry(&self) -> Option<&Expiry> {
        self.0.expiry.as_ref()
    }

    /// Returns every metric, sorted by name.
    pub(crate) fn families(&self) -> Vec<Arc<Family>> {
        self.0
            .families
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// Returns the sum of all series of a counter.
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

    /// Returns the metric with this full name.
    pub(crate) fn family(&self, name: &str) -> Option<Arc<Family>> {
        self.0
            .families
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    /// Returns a counter of the catalog.
    pub(crate) fn counter(&self, metric: &Metric, labels: &[(&str, &str)]) -> Arc<Series<Counter>> {
        self.of_catalog(metric, labels, Family::counter, Counter::default)
    }

    /// Returns a gauge of the catalog.
    pub(crate) fn gauge(&self, metric: &Metric, labels: &[(&str, &str)]) -> Arc<Series<Gauge>> {
        self.of_catalog(metric, labels, Family::gauge, Gauge::default)
    }

    /// Sets a gauge of the catalog.
    pub(crate) fn set(&self, metric: &Metric, labels: &[(&str, &str)], value: f64) {
        self.gauge(metric, labels).set(value);
    }

    /// Returns a histogram of the catalog.
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

    /// Counts a series beyond the limit of `metric`.
    pub(crate) fn count_overflow(&self, metric: &str) {
        // This counter never overflows: metrics of the observatory have a limit of `MAX_METRICS` series.
        self.counter(&catalog::SERIES_OVERFLOWED, &[("metric", metric)])
            .add(1);
    }

    fn of_catalog<T>(
        &self,
        metric: &Metric,
        labels: &[(&str, &str)],
        find: impl Fn(&Family, Canonical<'_>) -> Option<Resolved<T>>,
        orphan: impl FnOnce() -> T,
    ) -> Arc<Series<T>> {
        let name = metric.full_name(&self.0.options.prefix);
        let resolved = self
            .family_or_new(&name, metric.kind, Some(metric))
            .and_then(|family| {
                let resolved =
                    self.with_labels(labels.iter().copied(), |labels| find(&family, labels))?;
                Some((family, resolved))
            });
        match resolved {
            Some((family, resolved)) => {
                if resolved.is_overflow {
                    self.count_overflow(&family.name);
                }
                resolved.series
            }
            // The application uses the name for another kind of metric: the series is not exposed, and counted as
            // dropped.
            None => Arc::new(Series {
                labels: LabelSet::empty(),
                cell: orphan(),
            }),
        }
    }

    /// Calls `find` with the canonical form of `labels` and the labels that every series gets.
    fn with_labels<'a, R>(
        &'a self,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        find: impl FnOnce(Canonical<'_>) -> R,
    ) -> R {
        let everywhere = self
            .0
            .options
            .labels
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        let labels = labels.inspect(|(name, value)| {
            if value.len() > identity::MAX_VALUE_BYTES {
                let diagnostics = &self.0.diagnostics;
                diagnostics.dropped_with(Dropped::Truncated, name, || None);
            }
        });
        identity::with_canonical(everywhere.chain(labels), find)
    }

    /// Returns the metric with this canonical name, and creates a new metric. `None` if another kind of metric uses the
    /// name, or if there are too many metrics.
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
        if families.len() >= MAX_METRICS - CATALOG.len() && known.is_none() {
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
            let mut described = lock(&self.0.described);
            described.remove(name).unwrap_or_else(|| About {
                help: None,
                unit: unit_of(name),
            })
        };
        let series = if is_own(name) {
            MAX_METRICS
        } else {
            self.0.options.series_limit.min(MAX_SERIES)
        };
        let limit = Limit {
            series,
            redaction: Arc::clone(&self.0.redaction),
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

    /// Sets the help text of a metric, before or after its first series.
    fn describe(&self, name: &str, help: &str) {
        let about = About {
            help: Some(help.into()),
            unit: unit_of(name),
        };
        if let Some(family) = self.family(name) {
            family.describe(about);
        } else {
            let mut described = lock(&self.0.described);
            if described.len() < MAX_METRICS {
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

/// Returns the label `overflow="_other"` and the labels that every series gets.
fn last_labels(everywhere: &BTreeMap<String, String>) -> Arc<LabelSet> {
    let everywhere = everywhere
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    let labels = everywhere.chain([("overflow", OVERFLOW)]);
    Arc::new(identity::with_canonical(labels, |labels| {
        labels.label_set()
    }))
}

/// Returns whether a metric describes the observatory itself; its labels are bounded.
fn is_own(name: &str) -> bool {
    name.starts_with("observatory_")
}

/// Returns a metric with a sample of the same name: for example the histogram `x` for a counter `x_count`.
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

/// Returns the unit in a name. `OpenMetrics` requires the unit as the suffix of the name.
fn unit_of(name: &str) -> Option<&'static str> {
    const UNITS: [&str; 5] = ["seconds", "bytes", "ratio", "celsius", "joules"];
    let name = name.strip_suffix("_total").unwrap_or(name);
    UNITS.into_iter().find(|unit| {
        name.strip_suffix(unit)
            .is_some_and(|rest| rest.ends_with('_'))
    })
}
