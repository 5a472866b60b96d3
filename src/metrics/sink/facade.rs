//! A backend that writes to the `metrics` recorder of the application.

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, Key, Label, Recorder};

use super::{
    SinkOptions,
    backend::{Backend, Count as _, Distribution as _, Level as _, Pairs},
    kept::{RecorderHandle, RecorderSeries, Target},
};
use crate::{
    metrics::catalog::{self, Metric},
    observation::{CustomKind, CustomMetric, Dropped},
    privacy::{Redaction, RedactionConfig},
};

/// Writes to the `metrics` recorder of the application.
pub(crate) struct Facade {
    target: Arc<Target>,
    prefix: Arc<str>,
    /// Masks the labels of each new key.
    redaction: Redaction,
}

impl Facade {
    /// Returns a backend over `recorder`, or over the recorder that is current at the time of a recording.
    pub(crate) fn new(
        recorder: Option<Arc<dyn Recorder + Send + Sync>>,
        prefix: &str,
        options: SinkOptions,
    ) -> Self {
        let redaction = RedactionConfig {
            masks: options.masks,
            ..RedactionConfig::default()
        };
        Self {
            target: Arc::new(Target::new(recorder, options.handle_lifetime)),
            prefix: prefix.into(),
            redaction: Redaction::without_patterns(&redaction),
        }
    }

    fn find<H: RecorderHandle>(
        &self,
        metric: &'static Metric,
        labels: Pairs<'_>,
    ) -> RecorderSeries<H> {
        let key = self.key(metric.full_name(&self.prefix), labels);
        RecorderSeries::new(&self.target, Some(metric), key)
    }

    /// Returns a series of a metric of the application.
    fn custom_series<H: RecorderHandle>(&self, metric: &CustomMetric<'_>) -> RecorderSeries<H> {
        let key = self.key(metric.name.to_owned(), metric.labels);
        RecorderSeries::new(&self.target, None, key)
    }

    fn key(&self, name: String, labels: Pairs<'_>) -> Key {
        let labels = labels.iter().filter(|(_, value)| !value.is_empty());
        let labels = labels.map(|(key, value)| {
            let masked = self.redaction.label(key, value);
            Label::new(
                (*key).to_owned(),
                masked.unwrap_or_else(|| (*value).to_owned()),
            )
        });
        Key::from_parts(name, labels.collect::<Vec<_>>())
    }
}

impl Backend for Facade {
    type Counter = RecorderSeries<Counter>;
    type Gauge = RecorderSeries<Gauge>;
    type Histogram = RecorderSeries<Histogram>;

    fn counter(&self, metric: &'static Metric, labels: Pairs<'_>) -> Self::Counter {
        let series: RecorderSeries<Counter> = self.find(metric, labels);
        // Registers the counter at 0, so that `rate()` sees the first event.
        series.add(0);
        series
    }

    fn gauge(&self, metric: &'static Metric, labels: Pairs<'_>) -> Self::Gauge {
        self.find(metric, labels)
    }

    fn histogram(&self, metric: &'static Metric, labels: Pairs<'_>) -> Self::Histogram {
        self.find(metric, labels)
    }

    fn custom(&self, metric: &CustomMetric<'_>) {
        match metric.kind {
            CustomKind::MonotonicCounter => match metric.value {
                value if !value.is_finite() => self.dropped(Dropped::NotANumber, metric.name),
                value if value < 0.0 => self.dropped(Dropped::Negative, metric.name),
                value => {
                    // Counters of the `metrics` crate are integers.
                    if value.fract() != 0.0 {
                        self.dropped(Dropped::Truncated, metric.name);
                    }
                    self.custom_series::<Counter>(metric).add(value as u64);
                }
            },
            CustomKind::UpDownCounter if !metric.value.is_finite() => {
                self.dropped(Dropped::NotANumber, metric.name);
            }
            CustomKind::UpDownCounter => {
                self.custom_series::<Gauge>(metric).increment(metric.value);
            }
            CustomKind::Gauge => self.custom_series::<Gauge>(metric).set(metric.value),
            CustomKind::Histogram => self.custom_series::<Histogram>(metric).record(metric.value),
        }
    }

    fn overflowed(&self, metrics: &[Metric]) {
        for metric in metrics {
            let name = metric.full_name(&self.prefix);
            self.find::<Counter>(&catalog::SERIES_OVERFLOWED, &[("metric", &name)])
                .add(1);
        }
    }

    fn dropped(&self, reason: Dropped, _: &str) {
        let labels = [("reason", reason.as_str())];
        self.find::<Counter>(&catalog::DROPPED_OBSERVATIONS, &labels)
            .add(1);
    }
}
