//! The series of everything that is neither an inference nor HTTP: caches, databases, queues, routing, models.

use std::sync::OnceLock;

use super::backend::{Backend, Count, Distribution, Level};
use crate::{
    metrics::catalog::{self, Metric},
    observation::{CacheOperation, CacheResult, Labels},
};

/// Series of one label set of some kind of operation.
pub(super) trait OperationSeries<B: Backend> {
    /// Metrics that a new label set makes series in; those that an overflow is counted for.
    const METRICS: &'static [Metric];

    fn new(backend: &B, labels: &Labels) -> Self;
}

/// Operations of one kind on one cache; its counters stand at 0 before their first event.
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

/// Defines a kind of operation that is one histogram.
macro_rules! timed {
    ($(#[$doc:meta])* $name:ident, $metric:ident) => {
        $(#[$doc])*
        pub(super) struct $name<B: Backend> {
            pub(super) duration: B::Histogram,
        }

        impl<B: Backend> OperationSeries<B> for $name<B> {
            const METRICS: &'static [Metric] = &[catalog::$metric];

            fn new(backend: &B, labels: &Labels) -> Self {
                Self { duration: backend.histogram(&catalog::$metric, &pairs(labels)) }
            }
        }
    };
}

/// Defines a kind of observation that moves one gauge.
macro_rules! leveled {
    ($(#[$doc:meta])* $name:ident, $metric:ident) => {
        $(#[$doc])*
        pub(super) struct $name<B: Backend> {
            pub(super) level: B::Gauge,
        }

        impl<B: Backend> OperationSeries<B> for $name<B> {
            const METRICS: &'static [Metric] = &[catalog::$metric];

            fn new(backend: &B, labels: &Labels) -> Self {
                Self { level: backend.gauge(&catalog::$metric, &pairs(labels)) }
            }
        }
    };
}

/// Defines a kind of observation that is one counter.
macro_rules! counted {
    ($(#[$doc:meta])* $name:ident, $metric:ident) => {
        $(#[$doc])*
        pub(super) struct $name<B: Backend> {
            pub(super) count: B::Counter,
        }

        impl<B: Backend> OperationSeries<B> for $name<B> {
            const METRICS: &'static [Metric] = &[catalog::$metric];

            fn new(backend: &B, labels: &Labels) -> Self {
                Self { count: backend.counter(&catalog::$metric, &pairs(labels)) }
            }
        }
    };
}

timed!(/** Operations on one table. */ DatabaseSeries, DATABASE_DURATION);
timed!(/** Operations on one queue. */ QueueSeries, QUEUE_OPERATION_DURATION);
timed!(/** Choices of one strategy. */ SelectionSeries, SELECTION_DURATION);
timed!(/** Loads of one model. */ LoadingSeries, LOADING_DURATION);
timed!(/** Comparisons of two models. */ SimilaritySeries, RESPONSE_SIMILARITY);
leveled!(/** Loaded models of one type. */ LoadedSeries, LOADED_MODELS);
leveled!(/** Open connections of one type. */ ConnectionSeries, ACTIVE_CONNECTIONS);
leveled!(/** The size of one cache. */ CacheSizeSeries, CACHE_SIZE);
leveled!(/** The quality of one model. */ QualitySeries, QUALITY_SCORE);
counted!(/** Decisions for one model. */ DecisionSeries, ROUTING_DECISIONS);
counted!(/** Errors of one class in one component. */ ErrorSeries, ERRORS);

impl<B: Backend> LoadedSeries<B> {
    pub(super) fn change(&self, is_loaded: bool) {
        if is_loaded {
            self.level.add(1.0);
        } else {
            self.level.lower();
        }
    }
}

/// The labels under their own names.
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
