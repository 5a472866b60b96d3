//! Implements [`metrics::Recorder`] for the registry.

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use super::{
    Family, Registry,
    family::Resolved,
    identity::{self, Canonical},
};
use crate::metrics::catalog::MetricKind;

impl Registry {
    /// Returns the series of a key; `None` if another kind of metric uses the name.
    fn of_key<T>(
        &self,
        key: &Key,
        kind: MetricKind,
        find: impl Fn(&Family, Canonical<'_>) -> Option<Resolved<T>>,
    ) -> Option<Resolved<T>> {
        let labels = key.labels().map(|label| (label.key(), label.value()));
        self.of_application(key.name(), kind, labels, find)
    }

    /// Returns a series of the application, under the application's name.
    pub(crate) fn of_application<'a, T>(
        &'a self,
        name: &str,
        kind: MetricKind,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        find: impl Fn(&Family, Canonical<'_>) -> Option<Resolved<T>>,
    ) -> Option<Resolved<T>> {
        let name = match kind {
            MetricKind::Counter => identity::counter_name(name),
            MetricKind::Gauge | MetricKind::Histogram => identity::metric_name(name),
        };
        let family = self.family_or_new(&name, kind, None)?;
        let resolved = self.with_labels(labels, |labels| find(&family, labels))?;
        if resolved.is_overflow {
            self.count_overflow(&family.name);
        }
        Some(resolved)
    }
}

impl Recorder for Registry {
    fn describe_counter(&self, key: KeyName, _unit: Option<Unit>, description: SharedString) {
        self.describe(&identity::counter_name(key.as_str()), &description);
    }

    fn describe_gauge(&self, key: KeyName, _unit: Option<Unit>, description: SharedString) {
        self.describe(&identity::metric_name(key.as_str()), &description);
    }

    fn describe_histogram(&self, key: KeyName, _unit: Option<Unit>, description: SharedString) {
        self.describe(&identity::metric_name(key.as_str()), &description);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.of_key(key, MetricKind::Counter, Family::counter)
            .map_or_else(Counter::noop, |found| Counter::from_arc(found.series))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.of_key(key, MetricKind::Gauge, Family::gauge)
            .map_or_else(Gauge::noop, |found| Gauge::from_arc(found.series))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.of_key(key, MetricKind::Histogram, Family::histogram)
            .map_or_else(Histogram::noop, |found| Histogram::from_arc(found.series))
    }
}
