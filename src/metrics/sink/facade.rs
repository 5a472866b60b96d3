//! The application's own `metrics` recorder, whatever it is.
//!
//! Each recording registers its key anew, as the macros of `metrics` do. A handle kept here could be
//! orphaned by a recorder that evicts idle series, or be a dead one from before the recorder was installed.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use metrics::{Key, Label, Level as Verbosity, Metadata, Recorder};

use super::backend::{Backend, Count, Distribution, Level, Pairs};
use crate::{
    metrics::catalog::{Metric, MetricKind},
    observation::{CustomKind, CustomMetric, Dropped},
};

static METADATA: Metadata<'static> =
    Metadata::new("llm_observatory", Verbosity::INFO, Some(module_path!()));

/// Writes to the `metrics` recorder of the application.
#[derive(Clone)]
pub(crate) struct Facade {
    target: Target,
    prefix: Arc<str>,
    described: Arc<Mutex<HashSet<&'static str>>>,
}

#[derive(Clone)]
enum Target {
    /// Whichever recorder is global when something is recorded.
    Global,
    Own(Arc<dyn Recorder + Send + Sync>),
}

impl Target {
    fn with(&self, record: impl FnOnce(&dyn Recorder)) {
        match self {
            Self::Global => metrics::with_recorder(record),
            Self::Own(recorder) => record(recorder.as_ref()),
        }
    }
}

/// A series of the recorder, found again at each use.
pub(crate) struct Found {
    target: Target,
    key: Key,
}

impl Facade {
    pub(crate) fn global(prefix: &str) -> Self {
        Self {
            target: Target::Global,
            prefix: prefix.into(),
            described: Arc::default(),
        }
    }

    pub(crate) fn of(recorder: Arc<dyn Recorder + Send + Sync>, prefix: &str) -> Self {
        Self {
            target: Target::Own(recorder),
            prefix: prefix.into(),
            described: Arc::default(),
        }
    }

    fn find(&self, metric: &'static Metric, labels: Pairs<'_>) -> Found {
        let name = metric.full_name(&self.prefix);
        if self
            .described
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(metric.name)
        {
            let (name, help) = (name.clone().into(), metric.help.into());
            self.target.with(|recorder| match metric.kind {
                MetricKind::Counter => recorder.describe_counter(name, None, help),
                MetricKind::Gauge => recorder.describe_gauge(name, None, help),
                MetricKind::Histogram => recorder.describe_histogram(name, None, help),
            });
        }
        Found {
            target: self.target.clone(),
            key: key(name, labels),
        }
    }
}

fn key(name: String, labels: Pairs<'_>) -> Key {
    let labels = labels.iter().filter(|(_, value)| !value.is_empty());
    Key::from_parts(
        name,
        labels
            .map(|(key, value)| Label::new((*key).to_owned(), (*value).to_owned()))
            .collect::<Vec<_>>(),
    )
}

impl Backend for Facade {
    type Counter = Found;
    type Gauge = Found;
    type Histogram = Found;

    fn counter(&self, metric: &'static Metric, labels: Pairs<'_>) -> Found {
        let found = self.find(metric, labels);
        // Registered at 0, so that `rate()` sees the first event.
        Count::add(&found, 0);
        found
    }

    fn gauge(&self, metric: &'static Metric, labels: Pairs<'_>) -> Found {
        self.find(metric, labels)
    }

    fn histogram(&self, metric: &'static Metric, labels: Pairs<'_>) -> Found {
        self.find(metric, labels)
    }

    fn custom(&self, metric: &CustomMetric<'_>) {
        let found = Found {
            target: self.target.clone(),
            key: key(metric.name.to_owned(), metric.labels),
        };
        match metric.kind {
            CustomKind::MonotonicCounter => match metric.value {
                value if !value.is_finite() => self.dropped(Dropped::NotANumber, metric.name),
                value if value < 0.0 => self.dropped(Dropped::Negative, metric.name),
                value => {
                    // The facade counts in whole numbers.
                    if value.fract() != 0.0 {
                        self.dropped(Dropped::Truncated, metric.name);
                    }
                    Count::add(&found, value as u64);
                }
            },
            CustomKind::UpDownCounter if !metric.value.is_finite() => {
                self.dropped(Dropped::NotANumber, metric.name);
            }
            CustomKind::UpDownCounter => Level::add(&found, metric.value),
            CustomKind::Gauge => found.set(metric.value),
            CustomKind::Histogram => found.record(metric.value),
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

impl Count for Found {
    fn add(&self, value: u64) {
        self.target.with(|recorder| {
            recorder
                .register_counter(&self.key, &METADATA)
                .increment(value);
        });
    }
}

impl Level for Found {
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

impl Distribution for Found {
    fn record(&self, value: f64) {
        self.target.with(|recorder| {
            recorder
                .register_histogram(&self.key, &METADATA)
                .record(value);
        });
    }
}
