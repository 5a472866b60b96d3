//! The storage of a sink's series: the registry, or the `metrics` recorder of the application.

use std::sync::Arc;

use crate::{
    metrics::{
        catalog::{Metric, MetricKind},
        registry::{Counter, Exemplar, Family, Gauge, Histogram, Registry, Series},
    },
    observation::{CustomKind, CustomMetric, Dropped, TraceReference},
};

/// Label names and values of a series.
pub(crate) type Pairs<'a> = &'a [(&'a str, &'a str)];

/// Provides series.
pub(crate) trait Backend: Send + Sync {
    type Counter: Count;
    type Gauge: Level;
    type Histogram: Distribution;

    fn counter(&self, metric: &'static Metric, labels: Pairs<'_>) -> Self::Counter;
    fn gauge(&self, metric: &'static Metric, labels: Pairs<'_>) -> Self::Gauge;
    fn histogram(&self, metric: &'static Metric, labels: Pairs<'_>) -> Self::Histogram;

    /// Records into a metric of the application.
    fn custom(&self, metric: &CustomMetric<'_>);

    /// Counts a label set that was folded into the overflow series of these metrics.
    fn overflowed(&self, metrics: &[Metric]);

    /// Reports a dropped observation or part of an observation.
    fn dropped(&self, reason: Dropped, what: &str);
}

/// A counter.
pub(crate) trait Count: Send + Sync {
    fn add(&self, value: u64);

    /// Stores the trace of an increment as an exemplar, if the backend has exemplars.
    fn exemplify(&self, _trace: &TraceReference) {}
}

/// A gauge. Added values must be finite.
pub(crate) trait Level: Send + Sync {
    fn add(&self, value: f64);
    fn set(&self, value: f64);
    /// Subtracts 1, and stays at 0 if the backend can read the value.
    fn lower(&self);
}

/// A histogram. Recorded values must be finite.
pub(crate) trait Distribution: Send + Sync {
    fn record(&self, value: f64);

    /// Stores the trace of a recorded value as an exemplar, if the backend has exemplars.
    fn exemplify(&self, _value: f64, _trace: &TraceReference) {}
}

impl Backend for Registry {
    type Counter = Arc<Series<Counter>>;
    type Gauge = Arc<Series<Gauge>>;
    type Histogram = Arc<Series<Histogram>>;

    fn counter(&self, metric: &'static Metric, labels: Pairs<'_>) -> Self::Counter {
        Registry::counter(self, metric, labels)
    }

    fn gauge(&self, metric: &'static Metric, labels: Pairs<'_>) -> Self::Gauge {
        Registry::gauge(self, metric, labels)
    }

    fn histogram(&self, metric: &'static Metric, labels: Pairs<'_>) -> Self::Histogram {
        Registry::histogram(self, metric, labels)
    }

    fn custom(&self, metric: &CustomMetric<'_>) {
        let labels = metric.labels.iter().copied();
        match metric.kind {
            CustomKind::MonotonicCounter => {
                let found =
                    self.of_application(metric.name, MetricKind::Counter, labels, Family::counter);
                if let Some(Err(reason)) = found.map(|found| found.series.add_f64(metric.value)) {
                    self.diagnostics().dropped(reason);
                }
            }
            CustomKind::UpDownCounter | CustomKind::Gauge => {
                let Some(found) =
                    self.of_application(metric.name, MetricKind::Gauge, labels, Family::gauge)
                else {
                    return;
                };
                match metric.kind {
                    CustomKind::Gauge => found.series.set(metric.value),
                    _ if metric.value.is_finite() => found.series.add(metric.value),
                    // An infinite or NaN addend would stay in the sum.
                    _ => self.diagnostics().dropped(Dropped::NotANumber),
                }
            }
            CustomKind::Histogram => {
                if let Some(found) = self.of_application(
                    metric.name,
                    MetricKind::Histogram,
                    labels,
                    Family::histogram,
                ) {
                    found.series.cell.record(metric.value);
                }
            }
        }
    }

    fn overflowed(&self, metrics: &[Metric]) {
        for metric in metrics {
            self.count_overflow(&metric.full_name(self.prefix()));
        }
    }

    fn dropped(&self, reason: Dropped, what: &str) {
        self.dropped_with(reason, what);
    }
}

impl Count for Arc<Series<Counter>> {
    #[inline]
    fn add(&self, value: u64) {
        self.cell.add(value);
    }

    fn exemplify(&self, trace: &TraceReference) {
        self.cell.exemplify(trace);
    }
}

impl Level for Arc<Series<Gauge>> {
    #[inline]
    fn add(&self, value: f64) {
        self.cell.add_finite(value);
    }

    fn set(&self, value: f64) {
        self.cell.set(value);
    }

    fn lower(&self) {
        self.cell.lower();
    }
}

impl Distribution for Arc<Series<Histogram>> {
    #[inline]
    fn record(&self, value: f64) {
        self.cell.record_finite(value);
    }

    fn exemplify(&self, value: f64, trace: &TraceReference) {
        self.cell.exemplify(Exemplar {
            trace: *trace,
            value,
        });
    }
}
