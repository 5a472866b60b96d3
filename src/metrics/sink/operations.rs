//! Series of the operations beside inferences and HTTP: models, caches, databases, queues, routing, connections,
//! scores and errors.

use std::{sync::OnceLock, time::Duration};

use super::{
    backend::{Backend, Count, Distribution, Level},
    series::{SeriesSink, model_labels},
};
use crate::{
    metrics::catalog::{self, Metric},
    observation::{
        CacheOperation, CacheResult, Dropped, Kind, Label, Labels, ModelLoad, Observation, Outcome,
        interner::Interner,
    },
};

/// The series of one label set of a kind of operation.
pub(super) trait OperationSeries<B: Backend> {
    /// The metrics in which a new label set creates series; the sink counts an overflow for each of them.
    const METRICS: &'static [Metric];

    fn new(backend: &B, labels: &Labels) -> Self;
}

/// Defines the table of label sets: a field for each metric of the operations.
macro_rules! tables {
    ($($table:ident: $series:ident,)*) => {
        /// The label sets of the operations, and the series of each label set.
        pub(super) struct Operations<B: Backend> {
            $($table: Interner<$series<B>>,)*
        }

        impl<B: Backend> Operations<B> {
            /// Returns empty tables; each table holds up to `limit` label sets.
            pub(super) const fn new(limit: usize) -> Self {
                Self { $($table: Interner::new(limit),)* }
            }
        }
    };
}

tables! {
    caches: CacheSeries,
    cache_sizes: CacheSizeSeries,
    databases: DatabaseSeries,
    queues: QueueSeries,
    decisions: DecisionSeries,
    selections: SelectionSeries,
    loads: LoadSeries,
    loaded: LoadedSeries,
    connections: ConnectionSeries,
    qualities: QualitySeries,
    similarities: SimilaritySeries,
    errors: ErrorSeries,
}

impl<B: Backend> SeriesSink<B> {
    /// Records an observation that is neither an inference nor an HTTP request.
    pub(super) fn record_operation(&self, observation: &Observation<'_>) {
        let tables = &self.operations;
        let kind = observation.classify();
        match observation {
            // The sink records inferences and HTTP requests itself; alerts have no metric beside their count.
            Observation::Inference(_)
            | Observation::HttpRequest(_)
            | Observation::HttpClientRequest(_)
            | Observation::Alert(_) => {}
            Observation::ModelLoad(load) => self.model_load(load),
            Observation::ModelUnload { model_type } => {
                let labels = with_label(Label::ModelType, model_type);
                self.series(&tables.loaded, labels).level.lower();
            }
            Observation::CacheOperation(operation) => self.cache(operation),
            Observation::CacheSize { cache_type, bytes } => {
                self.series(
                    &tables.cache_sizes,
                    with_label(Label::CacheType, cache_type),
                )
                .level
                .set(*bytes as f64);
            }
            Observation::DatabaseOperation(operation) => {
                let labels = with_status(operation.labels(), operation.outcome);
                self.timed(&tables.databases, labels, operation.duration);
                self.failed_in(operation.outcome, operation.error_type, kind);
            }
            Observation::QueueOperation(operation) => {
                let labels = with_status(operation.labels(), operation.outcome);
                self.timed(&tables.queues, labels, operation.duration);
                self.failed_in(operation.outcome, operation.error_type, kind);
            }
            Observation::RoutingDecision(decision) => {
                // A failed choice selected no model, so it counts as no decision.
                if decision.outcome == Outcome::Success {
                    self.series(&tables.decisions, decision.labels())
                        .count
                        .add(1);
                }
                let labels = with_label(Label::Strategy, decision.strategy);
                self.timed(&tables.selections, labels, decision.duration);
                self.failed_in(decision.outcome, decision.error_type, kind);
            }
            Observation::Connection {
                connection_type,
                is_open,
            } => {
                let labels = with_label(Label::ConnectionType, connection_type);
                self.series(&tables.connections, labels)
                    .level
                    .add(if *is_open { 1.0 } else { -1.0 });
            }
            Observation::ModelQuality { model, score } => self.score(*score, |score| {
                self.series(&tables.qualities, model_labels(*model))
                    .level
                    .set(score);
            }),
            Observation::ResponseSimilarity {
                model,
                comparison_model,
                similarity,
            } => self.score(*similarity, |similarity| {
                let mut labels = model_labels(*model);
                labels.set(Label::ComparisonModel, comparison_model);
                self.series(&tables.similarities, labels)
                    .values
                    .record(similarity);
            }),
            Observation::Error(error) => {
                self.failed(Outcome::Error, error.error_type, error.component);
            }
            Observation::Custom(metric) => self.backend().custom(metric),
        }
    }

    fn model_load(&self, load: &ModelLoad<'_>) {
        let labels = model_labels(load.model);
        self.timed(&self.operations.loads, labels, load.duration);
        if load.outcome == Outcome::Success {
            let labels = with_label(Label::ModelType, load.model.model_type);
            self.series(&self.operations.loaded, labels).level.add(1.0);
        }
        self.failed_in(load.outcome, load.error_type, Kind::ModelLoad);
    }

    fn cache(&self, operation: &CacheOperation<'_>) {
        let labels: Labels = [
            (Label::Operation, operation.operation),
            (Label::CacheType, operation.cache_type),
        ]
        .into_iter()
        .collect();
        self.series(&self.operations.caches, labels.clone()).record(
            self.backend(),
            &labels,
            operation,
        );
        if operation.result == CacheResult::Error {
            self.failed_in(Outcome::Error, operation.error_type, Kind::Cache);
        }
    }

    /// Records a duration into the histogram of these labels.
    fn timed<T>(&self, table: &Interner<T>, labels: Labels, duration: Duration)
    where
        T: OperationSeries<B> + HistogramSeries<B>,
    {
        let series = self.series(table, labels);
        series.histogram().record(duration.as_secs_f64());
    }

    /// Counts the failure of an operation whose component is the name of its kind.
    pub(super) fn failed_in(&self, outcome: Outcome, error_type: &str, kind: Kind) {
        if outcome.is_failure() {
            self.failed(outcome, error_type, kind.name());
        }
    }

    /// Counts an error, unless its type says that the caller cancelled the operation. An error without a type has the
    /// conventions' `_OTHER`.
    pub(super) fn failed(&self, outcome: Outcome, error_type: &str, component: &str) {
        let error_type = match (error_type, outcome) {
            ("cancelled", _) => return,
            ("", Outcome::Timeout) => "timeout",
            ("", _) => "_OTHER",
            (named, _) => named,
        };
        let labels = [
            (Label::ErrorType, error_type),
            (Label::Component, component),
        ];
        self.series(&self.operations.errors, labels.into_iter().collect())
            .count
            .add(1);
    }

    /// Records a score, which must lie in `0.0..=1.0`; drops any other value.
    fn score(&self, value: f64, record: impl FnOnce(f64)) {
        if (0.0..=1.0).contains(&value) {
            record(value);
        } else {
            let reason = if value.is_nan() {
                Dropped::NotANumber
            } else {
                Dropped::OutOfRange
            };
            self.backend().dropped(reason, "a score");
        }
    }
}

/// The series of one operation on one cache. Its counters exist, at 0, before their first event.
pub(super) struct CacheSeries<B: Backend> {
    operations: [B::Counter; CacheResult::ALL.len()],
    durations: [OnceLock<B::Histogram>; CacheResult::ALL.len()],
}

impl<B: Backend> OperationSeries<B> for CacheSeries<B> {
    const METRICS: &'static [Metric] = &[catalog::CACHE_OPERATIONS];

    fn new(backend: &B, labels: &Labels) -> Self {
        let counter = |result: CacheResult| {
            backend.counter(
                &catalog::CACHE_OPERATIONS,
                &with(labels, ("status", result.as_str())),
            )
        };
        Self {
            operations: CacheResult::ALL.map(counter),
            durations: [const { OnceLock::new() }; CacheResult::ALL.len()],
        }
    }
}

impl<B: Backend> CacheSeries<B> {
    pub(super) fn record(&self, backend: &B, labels: &Labels, operation: &CacheOperation<'_>) {
        let result = operation.result;
        self.operations[result as usize].add(1);
        let find = || {
            backend.histogram(
                &catalog::CACHE_DURATION,
                &with(labels, ("status", result.as_str())),
            )
        };
        self.durations[result as usize]
            .get_or_init(find)
            .record(operation.duration.as_secs_f64());
    }
}

/// A series that consists of a histogram.
trait HistogramSeries<B: Backend> {
    fn histogram(&self) -> &B::Histogram;
}

/// Defines the series of operations with a metric each: `Name { field: Kind = constructor(METRIC) }`.
macro_rules! operation_series {
    ($($(#[$doc:meta])* $name:ident { $field:ident: $kind:ident = $create:ident($metric:ident) })*) => {
        $(
            $(#[$doc])*
            pub(super) struct $name<B: Backend> {
                $field: B::$kind,
            }

            impl<B: Backend> OperationSeries<B> for $name<B> {
                const METRICS: &'static [Metric] = &[catalog::$metric];

                fn new(backend: &B, labels: &Labels) -> Self {
                    Self { $field: backend.$create(&catalog::$metric, &pairs(labels)) }
                }
            }
        )*
    };
}

operation_series! {
    /// Durations of the operations on a table.
    DatabaseSeries { values: Histogram = histogram(DATABASE_DURATION) }
    /// Durations of the operations on a queue.
    QueueSeries { values: Histogram = histogram(QUEUE_OPERATION_DURATION) }
    /// Durations of the choices by a strategy.
    SelectionSeries { values: Histogram = histogram(SELECTION_DURATION) }
    /// Durations of the loads of a model.
    LoadSeries { values: Histogram = histogram(LOADING_DURATION) }
    /// Similarities of the answers of two models.
    SimilaritySeries { values: Histogram = histogram(RESPONSE_SIMILARITY) }
    /// Number of loaded models of a type.
    LoadedSeries { level: Gauge = gauge(LOADED_MODELS) }
    /// Number of open connections of a type.
    ConnectionSeries { level: Gauge = gauge(ACTIVE_CONNECTIONS) }
    /// Size of a cache.
    CacheSizeSeries { level: Gauge = gauge(CACHE_SIZE) }
    /// Quality of a model's answers.
    QualitySeries { level: Gauge = gauge(QUALITY_SCORE) }
    /// Routing decisions for a model.
    DecisionSeries { count: Counter = counter(ROUTING_DECISIONS) }
    /// Errors of a class in a component.
    ErrorSeries { count: Counter = counter(ERRORS) }
}

macro_rules! histogram_series {
    ($($name:ident),*) => {
        $(impl<B: Backend> HistogramSeries<B> for $name<B> {
            fn histogram(&self) -> &B::Histogram {
                &self.values
            }
        })*
    };
}
histogram_series!(DatabaseSeries, QueueSeries, SelectionSeries, LoadSeries);

fn with_label(label: Label, value: &str) -> Labels {
    [(label, value)].into_iter().collect()
}

fn with_status(mut labels: Labels, outcome: Outcome) -> Labels {
    labels.set(Label::Status, outcome.as_str());
    labels
}

/// Returns the labels under their Prometheus names.
pub(super) fn pairs(labels: &Labels) -> Vec<(&str, &str)> {
    labels
        .iter()
        .map(|(label, value)| (label.name(), value))
        .collect()
}

fn with<'a>(labels: &'a Labels, more: (&'a str, &'a str)) -> Vec<(&'a str, &'a str)> {
    let mut pairs = pairs(labels);
    pairs.push(more);
    pairs
}
