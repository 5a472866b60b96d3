//! A backend that writes to the `metrics` recorder of the application.
//!
//! Each recording registers its key, as the macros of `metrics` do. A stored handle could refer to a series that the
//! recorder has evicted, or to the no-op recorder from before the installation.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use metrics::{Key, Label, Level as Verbosity, Metadata, Recorder};

use super::{
    SinkOptions,
    backend::{Backend, Count, Distribution, Level, Pairs},
};
use crate::{
    metrics::catalog::{Metric, MetricKind},
    observation::{CustomKind, CustomMetric, Dropped},
    privacy::{Redaction, RedactionConfig},
    runtime::lock,
};

static METADATA: Metadata<'static> =
    Metadata::new("llm_observatory", Verbosity::INFO, Some(module_path!()));

/// Writes to the `metrics` recorder of the application.
#[derive(Clone)]
pub(crate) struct Facade {
    target: RecorderHandle,
    prefix: Arc<str>,
    described: Arc<Mutex<HashSet<&'static str>>>,
    /// Masks the labels of each new key.
    redaction: Arc<Redaction>,
}

#[derive(Clone)]
enum RecorderHandle {
    /// The recorder that is global at the time of a recording.
    Global,
    Own(Arc<dyn Recorder + Send + Sync>),
}

impl RecorderHandle {
    fn with(&self, record: impl FnOnce(&dyn Recorder)) {
        match self {
            Self::Global => metrics::with_recorder(record),
            Self::Own(recorder) => record(recorder.as_ref()),
        }
    }
}

/// A series of the recorder; each recording looks it up.
pub(crate) struct RecorderSeries {
    target: RecorderHandle,
    key: Key,
}

impl Facade {
    pub(crate) fn global(prefix: &str, options: SinkOptions) -> Self {
        Self::to(RecorderHandle::Global, prefix, options)
    }

    pub(crate) fn of(
        recorder: Arc<dyn Recorder + Send + Sync>,
        prefix: &str,
        options: SinkOptions,
    ) -> Self {
        Self::to(RecorderHandle::Own(recorder), prefix, options)
    }

    fn to(target: RecorderHandle, prefix: &str, options: SinkOptions) -> Self {
        let redaction = RedactionConfig {
            masks: options.masks,
            ..RedactionConfig::default()
        };
        Self {
            target,
            prefix: prefix.into(),
            described: Arc::default(),
            redaction: Arc::new(Redaction::without_patterns(&redaction)),
        }
    }

    fn find(&self, metric: &'static Metric, labels: Pairs<'_>) -> RecorderSeries {
        let name = metric.full_name(&self.prefix);
        if lock(&self.described).insert(metric.name) {
            let (name, help) = (name.clone().into(), metric.help.into());
            self.target.with(|recorder| match metric.kind {
                MetricKind::Counter => recorder.describe_counter(name, None, help),
                MetricKind::Gauge => recorder.describe_gauge(name, None, help),
                MetricKind::Histogram => recorder.describe_histogram(name, None, help),
            });
        }
        RecorderSeries {
            target: self.target.clone(),
            key: self.key(name, labels),
        }
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
    type Counter = RecorderSeries;
    type Gauge = RecorderSeries;
    type Histogram = RecorderSeries;

    fn counter(&self, metric: &'static Metric, labels: Pairs<'_>) -> RecorderSeries {
        let series = self.find(metric, labels);
        // Registers the counter at 0, so that `rate()` sees the first event.
        Count::add(&series, 0);
        series
    }

    fn gauge(&self, metric: &'static Metric, labels: Pairs<'_>) -> RecorderSeries {
        self.find(metric, labels)
    }

    fn histogram(&self, metric: &'static Metric, labels: Pairs<'_>) -> RecorderSeries {
        self.find(metric, labels)
    }

    fn custom(&self, metric: &CustomMetric<'_>) {
        let series = RecorderSeries {
            target: self.target.clone(),
            key: self.key(metric.name.to_owned(), metric.labels),
        };
        match metric.kind {
            CustomKind::MonotonicCounter => match metric.value {
                value if !value.is_finite() => self.dropped(Dropped::NotANumber, metric.name),
                value if value < 0.0 => self.dropped(Dropped::Negative, metric.name),
                value => {
                    // Counters of the `metrics` crate are integers.
                    if value.fract() != 0.0 {
                        self.dropped(Dropped::Truncated, metric.name);
                    }
                    Count::add(&series, value as u64);
                }
            },
            CustomKind::UpDownCounter if !metric.value.is_finite() => {
                self.dropped(Dropped::NotANumber, metric.name);
            }
            CustomKind::UpDownCounter => Level::add(&series, metric.value),
            CustomKind::Gauge => series.set(metric.value),
            CustomKind::Histogram => series.record(metric.value),
        }
    }

    fn overflowed(&self, metrics: &[Metric]) {
        for metric in metrics {
            let name = metric.full_name(&self.prefix);
            Count::add(
                &self.find(
                    &crate::metrics::catalog::SERIES_OVERFLOWED,
                    &[("metric", &name)],
                ),
                1,
            );
        }
    }

    fn dropped(&self, reason: Dropped, _: &str) {
        Count::add(
            &self.find(
                &crate::metrics::catalog::DROPPED_OBSERVATIONS,
                &[("reason", reason.as_str())],
            ),
            1,
        );
    }
}

impl Count for RecorderSeries {
    fn add(&self, value: u64) {
        self.target.with(|recorder| {
            recorder
                .register_counter(&self.key, &METADATA)
                .increment(value);
        });
    }
}

impl Level for RecorderSeries {
    fn add(&self, value: f64) {
        self.target.with(|recorder| {
            recorder
                .register_gauge(&self.key, &METADATA)
                .increment(value);
        });
    }

    fn set(&self, value: f64) {
        self.target
            .with(|recorder| recorder.register_gauge(&self.key, &METADATA).set(value));
    }

    fn lower(&self) {
        Level::add(self, -1.0);
    }
}

impl Distribution for RecorderSeries {
    fn record(&self, value: f64) {
        self.target.with(|recorder| {
            recorder
                .register_histogram(&self.key, &METADATA)
                .record(value);
        });
    }
}
