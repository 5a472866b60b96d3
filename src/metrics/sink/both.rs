//! A backend that writes to the observatory's registry and to the `metrics` recorder of the application.
//!
//! Both feed from a single look-up of the label set, so that alerts, `/metrics` and the dashboard have the same numbers as
//! the application's own exposition.

use super::{
    backend::{Backend, Count, Distribution, Level, Pairs},
    facade::Facade,
};
use crate::{
    metrics::{catalog::Metric, registry::Registry},
    observation::{CustomMetric, Dropped, TraceReference},
};

/// Writes to the registry and to the recorder of the application.
pub(crate) struct Both {
    pub(super) registry: Registry,
    pub(super) facade: Facade,
}

/// A series of the registry and a series of the recorder.
pub(crate) struct Pair<O, F> {
    own: O,
    foreign: F,
}

impl Backend for Both {
    type Counter = Pair<<Registry as Backend>::Counter, <Facade as Backend>::Counter>;
    type Gauge = Pair<<Registry as Backend>::Gauge, <Facade as Backend>::Gauge>;
    type Histogram = Pair<<Registry as Backend>::Histogram, <Facade as Backend>::Histogram>;

    fn counter(&self, metric: &'static Metric, labels: Pairs<'_>) -> Self::Counter {
        Pair {
            own: Backend::counter(&self.registry, metric, labels),
            foreign: self.facade.counter(metric, labels),
        }
    }

    fn gauge(&self, metric: &'static Metric, labels: Pairs<'_>) -> Self::Gauge {
        Pair {
            own: Backend::gauge(&self.registry, metric, labels),
            foreign: self.facade.gauge(metric, labels),
        }
    }

    fn histogram(&self, metric: &'static Metric, labels: Pairs<'_>) -> Self::Histogram {
        Pair {
            own: Backend::histogram(&self.registry, metric, labels),
            foreign: self.facade.histogram(metric, labels),
        }
    }

    fn custom(&self, metric: &CustomMetric<'_>) {
        self.registry.custom(metric);
        self.facade.custom(metric);
    }

    fn overflowed(&self, metrics: &[Metric]) {
        self.registry.overflowed(metrics);
        self.facade.overflowed(metrics);
    }

    fn dropped(&self, reason: Dropped, what: &str) {
        Backend::dropped(&self.registry, reason, what);
        self.facade.dropped(reason, what);
    }
}

impl<O: Count, F: Count> Count for Pair<O, F> {
    #[inline]
    fn add(&self, value: u64) {
        self.own.add(value);
        self.foreign.add(value);
    }

    fn exemplify(&self, trace: &TraceReference) {
        self.own.exemplify(trace);
    }
}

impl<O: Level, F: Level> Level for Pair<O, F> {
    #[inline]
    fn add(&self, value: f64) {
        self.own.add(value);
        self.foreign.add(value);
    }

    fn set(&self, value: f64) {
        self.own.set(value);
        self.foreign.set(value);
    }

    fn lower(&self) {
        self.own.lower();
        self.foreign.lower();
    }
}

impl<O: Distribution, F: Distribution> Distribution for Pair<O, F> {
    #[inline]
    fn record(&self, value: f64) {
        self.own.record(value);
        self.foreign.record(value);
    }

    fn exemplify(&self, value: f64, trace: &TraceReference) {
        self.own.exemplify(value, trace);
    }
}
