//! Which series an observation feeds: the one rule.

use std::time::Duration;

use super::{
    Side, SinkOptions,
    backend::{Backend, Count as _, Distribution, Level as _},
    http::{self, HttpClientSeries, HttpSeries, InFlightSeries},
    inference::{self, InferenceSeries},
    operations::{
        CacheSeries, CacheSizeSeries, ConnectionSeries, DatabaseSeries, DecisionSeries,
        ErrorSeries, LoadedSeries, LoadingSeries, OperationSeries, QualitySeries, QueueSeries,
        SelectionSeries, SimilaritySeries,
    },
    origin::Origin,
};
use crate::{
    metrics::catalog,
    observation::{
        DatabaseOperation, Dropped, Handle, HttpClientRequest, HttpRequest, InFlight, InferenceEnd,
        Label, Labels, Model, Observation, Outcome, QueueOperation, RoutingDecision,
        TraceReference,
        interner::{Found, Interned, Interner},
    },
};

/// Kinds of observation, as `observatory_observations_total` names them.
const KINDS: [&str; 14] = [
    "inference",
    "model_load",
    "model_unload",
    "http_request",
    "http_client",
    "cache",
    "database",
    "queue",
    "routing",
    "connection",
    "quality",
    "error",
    "custom",
    "alert",
];
/// Place of `inference` in [`KINDS`].
const INFERENCE: usize = 0;

/// Finds the series of each observation, and adds to them.
pub(super) struct SeriesSink<B: Backend> {
    pub(super) side: Option<Side>,
    observed: [B::Counter; KINDS.len()],
    pub(super) inferences: Interner<InferenceSeries<B>>,
    failed_durations: Interner<B::Histogram>,
    http: Interner<HttpSeries<B>>,
    http_failed: Interner<B::Histogram>,
    http_clients: Interner<HttpClientSeries<B>>,
    http_clients_failed: Interner<B::Histogram>,
    in_flight: Interner<InFlightSeries<B>>,
    caches: Interner<CacheSeries<B>>,
    cache_sizes: Interner<CacheSizeSeries<B>>,
    databases: Interner<DatabaseSeries<B>>,
    queues: Interner<QueueSeries<B>>,
    decisions: Interner<DecisionSeries<B>>,
    selections: Interner<SelectionSeries<B>>,
    loading: Interner<LoadingSeries<B>>,
    loaded: Interner<LoadedSeries<B>>,
    connections: Interner<ConnectionSeries<B>>,
    qualities: Interner<QualitySeries<B>>,
    similarities: Interner<SimilaritySeries<B>>,
    errors: Interner<ErrorSeries<B>>,
    backend: B,
}

impl<B: Backend> SeriesSink<B> {
    pub(super) fn new(backend: B, options: SinkOptions) -> Self {
        let limit = options.series_limit;
        Self {
            side: options.gen_ai,
            observed: KINDS.map(|kind| backend.counter(&catalog::OBSERVATIONS, &[("kind", kind)])),
            inferences: Interner::new(limit),
            failed_durations: Interner::new(limit),
            http: Interner::new(limit),
            http_failed: Interner::new(limit),
            http_clients: Interner::new(limit),
            http_clients_failed: Interner::new(limit),
            in_flight: Interner::new(limit),
            caches: Interner::new(limit),
            cache_sizes: Interner::new(limit),
            databases: Interner::new(limit),
            queues: Interner::new(limit),
            decisions: Interner::new(limit),
            selections: Interner::new(limit),
            loading: Interner::new(limit),
            loaded: Interner::new(limit),
            connections: Interner::new(limit),
            qualities: Interner::new(limit),
            similarities: Interner::new(limit),
            errors: Interner::new(limit),
            backend,
        }
    }

    pub(super) const fn backend(&self) -> &B {
        &self.backend
    }

    /// The series of an inference with these labels.
    #[inline]
    fn inference(&self, labels: &mut Labels) -> Interned<'_, InferenceSeries<B>> {
        let interned = self.inferences.resolve(labels, |labels| {
            InferenceSeries::new(&self.backend, labels, self.side)
        });
        if interned.found == Found::Overflow {
            self.backend.overflowed(inference::METRICS);
        }
        interned
    }

    #[inline]
    pub(super) fn open(&self, labels: &mut Labels) -> Handle {
        match self.inferences.find(labels) {
            Some((number, series)) => {
                series.began();
                Handle(number)
            }
            None => self.open_new(labels),
        }
    }

    #[cold]
    #[inline(never)]
    fn open_new(&self, labels: &mut Labels) -> Handle {
        let interned = self.inference(labels);
        interned.value.began();
        Handle(interned.number)
    }

    pub(super) fn relabel(&self, handle: Handle, later: &Labels) -> Handle {
        let mut labels = self.inferences.labels(handle.0);
        labels.extend(later);
        let interned = self.inference(&mut labels);
        if interned.number != handle.0
            && let Some(before) = self.inferences.get(handle.0)
        {
            interned.value.began();
            before.left();
        }
        Handle(interned.number)
    }

    pub(super) fn chunk(&self, handle: Handle, gap: Duration) {
        if let Some(series) = self.inferences.get(handle.0) {
            series.chunk(Origin::new(self, handle.0), gap.as_secs_f64());
        }
    }

    pub(super) fn abandon(&self, handle: Handle) {
        if let Some(series) = self.inferences.get(handle.0) {
            series.left();
        }
    }

    #[inline]
    pub(super) fn close(&self, handle: Handle, end: &InferenceEnd, failure: Option<&Labels>) {
        if let Some(series) = self.inferences.get(handle.0) {
            series.left();
            self.ended(handle.0, series, end, failure);
        }
    }

    #[inline]
    fn ended(
        &self,
        number: u32,
        series: &InferenceSeries<B>,
        end: &InferenceEnd,
        failure: Option<&Labels>,
    ) {
        let origin = Origin::new(self, number);
        series.ended(origin, end);
        self.observed[INFERENCE].add(1);
        if end.outcome != Outcome::Success {
            self.ended_otherwise(origin.labels(), end, failure);
        }
    }

    /// The duration of what did not succeed says why; a failure is an error.
    #[cold]
    fn ended_otherwise(&self, mut labels: Labels, end: &InferenceEnd, failure: Option<&Labels>) {
        let of_failure = |label| failure.and_then(|failure| failure.get(label));
        let error_type = of_failure(Label::ErrorType);
        if let Some(side) = self.side {
            labels.set(
                Label::ErrorType,
                error_type.unwrap_or(inference::error_type(end.outcome)),
            );
            let find = |labels: &Labels| inference::failed_duration(&self.backend, labels, side);
            let histogram = self.failed_durations.resolve(&mut labels, find).value;
            histogram.record(end.duration.as_secs_f64());
            if let Some(trace) = &end.trace {
                histogram.exemplify(end.duration.as_secs_f64(), trace);
            }
        }
        if end.outcome.is_failure() {
            let component = of_failure(Label::Component).unwrap_or("inference");
            self.failed(end.outcome, error_type.unwrap_or_default(), component);
        }
    }

    pub(super) fn record(&self, observation: &Observation<'_>) {
        if let Observation::Inference(inference) = observation {
            let mut labels = inference.labels();
            self.report_truncated(&labels);
            let Interned { number, value, .. } = self.inference(&mut labels);
            return self.ended(number, value, &inference.end, Some(&inference.failure()));
        }
        let kind = observation.kind();
        if let Some(counter) = KINDS
            .iter()
            .position(|known| *known == kind)
            .and_then(|place| self.observed.get(place))
        {
            counter.add(1);
        }
        match observation {
            // The one was recorded above; of the other, more than a count is not a matter of metrics.
            Observation::Inference(_) | Observation::Alert(_) => {}
            Observation::HttpRequest(request) => self.http_request(request),
            Observation::HttpClientRequest(request) => self.http_client_request(request),
            Observation::ModelLoad(load) => {
                self.series(&self.loading, model_labels(load.model))
                    .duration
                    .record(load.duration.as_secs_f64());
                if load.outcome == Outcome::Success {
                    self.loaded_models(load.model.model_type).change(true);
                }
                self.failed_in(load.outcome, load.error_type, kind);
            }
            Observation::ModelUnload { model_type } => self.loaded_models(model_type).change(false),
            Observation::CacheOperation(operation) => {
                let labels = [
                    (Label::Operation, operation.operation),
                    (Label::CacheType, operation.cache_type),
                ];
                let labels: Labels = labels.into_iter().collect();
                self.series(&self.caches, labels.clone())
                    .record(&self.backend, &labels, operation);
                if operation.result == crate::observation::CacheResult::Error {
                    self.failed_in(Outcome::Error, operation.error_type, kind);
                }
            }
            Observation::CacheSize { cache_type, bytes } => {
                self.series(&self.cache_sizes, one(Label::CacheType, cache_type))
                    .level
                    .set(*bytes as f64);
            }
            Observation::DatabaseOperation(operation) => self.database(operation),
            Observation::QueueOperation(operation) => self.queue(operation),
            Observation::RoutingDecision(decision) => self.routing(decision),
            Observation::Connection {
                connection_type,
                is_open,
            } => {
                self.series(
                    &self.connections,
                    one(Label::ConnectionType, connection_type),
                )
                .level
                .add(if *is_open { 1.0 } else { -1.0 });
            }
            Observation::ModelQuality { model, score } => self.share(*score, |score| {
                self.series(&self.qualities, model_labels(*model))
                    .level
                    .set(score);
            }),
            Observation::ResponseSimilarity {
                model,
                comparison_model,
                similarity,
            } => self.share(*similarity, |similarity| {
                let mut labels = model_labels(*model);
                labels.set(Label::ComparisonModel, comparison_model);
                self.series(&self.similarities, labels)
                    .duration
                    .record(similarity);
            }),
            Observation::Error(error) => {
                self.failed(Outcome::Error, error.error_type, error.component);
            }
            Observation::Custom(metric) => self.backend.custom(metric),
        }
    }

    fn database(&self, operation: &DatabaseOperation<'_>) {
        let labels = [
            (Label::Operation, operation.operation),
            (Label::Table, operation.table),
            (Label::Status, operation.outcome.as_str()),
        ];
        self.series(&self.databases, labels.into_iter().collect())
            .duration
            .record(operation.duration.as_secs_f64());
        self.failed_in(operation.outcome, operation.error_type, "database");
    }

    fn queue(&self, operation: &QueueOperation<'_>) {
        let labels = [
            (Label::Queue, operation.queue),
            (Label::Operation, operation.operation),
            (Label::Status, operation.outcome.as_str()),
        ];
        self.series(&self.queues, labels.into_iter().collect())
            .duration
            .record(operation.duration.as_secs_f64());
        self.failed_in(operation.outcome, operation.error_type, "queue");
    }

    fn routing(&self, decision: &RoutingDecision<'_>) {
        let labels = [
            (Label::Strategy, decision.strategy),
            (Label::SelectedModel, decision.selected_model),
            (Label::Reason, decision.reason),
        ];
        // A choice that failed chose nothing.
        if decision.outcome == Outcome::Success {
            self.series(&self.decisions, labels.into_iter().collect())
                .count
                .add(1);
        }
        self.series(&self.selections, one(Label::Strategy, decision.strategy))
            .duration
            .record(decision.duration.as_secs_f64());
        self.failed_in(decision.outcome, decision.error_type, "routing");
    }

    pub(super) fn request_began(&self, request: InFlight<'_>) -> Handle {
        let mut labels = http::in_flight_labels(request);
        let interned = self.resolve(&self.in_flight, &mut labels);
        interned.value.level.add(1.0);
        Handle(interned.number)
    }

    pub(super) fn request_ended(&self, handle: Handle) {
        if let Some(series) = self.in_flight.get(handle.0) {
            series.level.add(-1.0);
        }
    }

    fn http_request(&self, request: &HttpRequest<'_>) {
        let mut labels = http::http_labels(request);
        let series = self.resolve(&self.http, &mut labels).value;
        series.record(&self.backend, &labels, request);
        let Some(error_type) = http::failure(request, &labels) else {
            return record(
                &series.conventions,
                request.duration,
                request.trace.as_ref(),
            );
        };
        // By themselves: a flood of error types must not cost a route its name.
        let mut failed = labels.clone();
        failed.set(Label::ErrorType, error_type);
        let find = |labels: &Labels| http::server_duration(&self.backend, labels);
        let histogram = self.http_failed.resolve(&mut failed, find).value;
        record(histogram, request.duration, request.trace.as_ref());
        let component = if request.component.is_empty() {
            "http_request"
        } else {
            request.component
        };
        self.failed(request.outcome, error_type, component);
    }

    fn http_client_request(&self, request: &HttpClientRequest<'_>) {
        let mut labels = http::http_client_labels(request);
        let series = self.resolve(&self.http_clients, &mut labels).value;
        series.record(&self.backend, &labels, request);
        let Some(error_type) = http::client_failure(request, &labels) else {
            return record(&series.duration, request.duration, request.trace.as_ref());
        };
        let mut failed = labels.clone();
        failed.set(Label::ErrorType, error_type);
        let find = |labels: &Labels| http::client_duration(&self.backend, labels);
        let histogram = self.http_clients_failed.resolve(&mut failed, find).value;
        record(histogram, request.duration, request.trace.as_ref());
        self.failed_in(request.outcome, request.error_type, "http_client");
    }

    fn loaded_models(&self, model_type: &str) -> &LoadedSeries<B> {
        self.series(&self.loaded, one(Label::ModelType, model_type))
    }

    fn report_truncated(&self, labels: &Labels) {
        for _ in 0..labels.truncated() {
            self.backend.dropped(Dropped::Truncated, "a label value");
        }
    }

    fn series<'s, T: OperationSeries<B>>(
        &'s self,
        of: &'s Interner<T>,
        mut labels: Labels,
    ) -> &'s T {
        self.resolve(of, &mut labels).value
    }

    fn resolve<'s, T: OperationSeries<B>>(
        &'s self,
        of: &'s Interner<T>,
        labels: &mut Labels,
    ) -> Interned<'s, T> {
        self.report_truncated(labels);
        let interned = of.resolve(labels, |labels| T::new(&self.backend, labels));
        if interned.found == Found::Overflow {
            self.backend.overflowed(T::METRICS);
        }
        interned
    }

    fn failed_in(&self, outcome: Outcome, error_type: &str, component: &str) {
        if outcome.is_failure() {
            self.failed(outcome, error_type, component);
        }
    }

    fn failed(&self, outcome: Outcome, error_type: &str, component: &str) {
        let error_type = match (error_type, outcome) {
            ("", Outcome::Timeout) => "timeout",
            ("", _) => "error",
            (named, _) => named,
        };
        let labels = [
            (Label::ErrorType, error_type),
            (Label::Component, component),
        ];
        self.series(&self.errors, labels.into_iter().collect())
            .count
            .add(1);
    }

    /// Uses a value that must lie in `0.0..=1.0`.
    fn share(&self, value: f64, record: impl FnOnce(f64)) {
        if (0.0..=1.0).contains(&value) {
            record(value);
        } else {
            self.backend.dropped(
                if value.is_nan() {
                    Dropped::NotANumber
                } else {
                    Dropped::OutOfRange
                },
                "a score",
            );
        }
    }
}

fn record<D: Distribution>(histogram: &D, duration: Duration, trace: Option<&TraceReference>) {
    let seconds = duration.as_secs_f64();
    histogram.record(seconds);
    if let Some(trace) = trace {
        histogram.exemplify(seconds, trace);
    }
}

fn one(label: Label, value: &str) -> Labels {
    [(label, value)].into_iter().collect()
}

fn model_labels(model: Model<'_>) -> Labels {
    [
        (Label::ModelId, model.model_id),
        (Label::ModelType, model.model_type),
        (Label::Engine, model.engine),
    ]
    .into_iter()
    .collect()
}
