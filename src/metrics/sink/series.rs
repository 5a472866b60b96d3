//! Finds the series of each observation and records into them.

use std::time::Duration;

use super::{
    Side, SinkOptions,
    backend::{Backend, Count as _, Distribution, Level as _},
    http::{self, HttpClientSeries, HttpSeries, InFlightSeries},
    inference::{self, InferenceSeries},
    operations::{OperationSeries, Operations},
    origin::Origin,
};
use crate::{
    metrics::catalog,
    observation::{
        Dropped, Handle, HttpClientRequest, HttpRequest, InFlight, InferenceEnd, Kind, Label,
        Labels, Model, Observation, Outcome, TraceReference,
        interner::{Interned, Interner},
    },
};

/// The sink over a backend: the series of every label set that it has seen.
pub(crate) struct SeriesSink<B: Backend> {
    pub(super) side: Option<Side>,
    /// Observations by kind; a kind's position is `kind as usize`.
    observed: [B::Counter; Kind::ALL.len()],
    pub(super) inferences: Interner<InferenceSeries<B>>,
    failed_durations: Interner<B::Histogram>,
    http: Interner<HttpSeries<B>>,
    http_failed: Interner<B::Histogram>,
    http_clients: Interner<HttpClientSeries<B>>,
    http_clients_failed: Interner<B::Histogram>,
    in_flight: Interner<InFlightSeries<B>>,
    pub(super) operations: Operations<B>,
    backend: B,
}

impl<B: Backend> SeriesSink<B> {
    pub(super) fn new(backend: B, options: SinkOptions) -> Self {
        let limit = options.series_limit;
        Self {
            side: options.gen_ai,
            observed: Kind::ALL
                .map(|kind| backend.counter(&catalog::OBSERVATIONS, &[("kind", kind.name())])),
            inferences: Interner::new(limit),
            failed_durations: Interner::new(limit),
            http: Interner::new(limit),
            http_failed: Interner::new(limit),
            http_clients: Interner::new(limit),
            http_clients_failed: Interner::new(limit),
            in_flight: Interner::new(limit),
            operations: Operations::new(limit),
            backend,
        }
    }

    pub(super) const fn backend(&self) -> &B {
        &self.backend
    }

    pub(super) fn into_backend(self) -> B {
        self.backend
    }

    /// Returns the series of an inference with these labels.
    #[inline]
    fn inference(&self, labels: &mut Labels) -> Interned<'_, InferenceSeries<B>> {
        let interned = self.inferences.resolve(labels, |labels| {
            InferenceSeries::new(&self.backend, labels, self.side)
        });
        if interned.is_overflow {
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

    pub(super) fn labels(&self, handle: Handle) -> Option<Labels> {
        self.inferences.get(handle.0)?;
        Some(self.inferences.labels(handle.0))
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
        self.observed[Kind::Inference as usize].add(1);
        if end.outcome != Outcome::Success {
            self.ended_without_success(origin.labels(), end, failure);
        }
    }

    /// Records the duration of an inference that did not succeed beside its error type, and counts a failure as an
    /// error.
    #[cold]
    fn ended_without_success(
        &self,
        mut labels: Labels,
        end: &InferenceEnd,
        failure: Option<&Labels>,
    ) {
        let of_failure = |label| failure.and_then(|failure| failure.get(label));
        let error_type = of_failure(Label::ErrorType);
        if let Some(side) = self.side {
            // A cancelled inference is no failure: its duration is in the series without an error type.
            if end.outcome != Outcome::Cancelled {
                labels.set(
                    Label::ErrorType,
                    error_type.unwrap_or(inference::error_type(end.outcome)),
                );
            }
            let find = |labels: &Labels| inference::failed_duration(&self.backend, labels, side);
            let histogram = self.failed_durations.resolve(&mut labels, find).value;
            histogram.record(end.duration.as_secs_f64());
            if let Some(trace) = &end.trace {
                histogram.exemplify(end.duration.as_secs_f64(), trace);
            }
        }
        if end.outcome.is_failure() {
            let component = of_failure(Label::Component).unwrap_or(Kind::Inference.name());
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
        self.observed[observation.classify() as usize].add(1);
        match observation {
            Observation::HttpRequest(request) => self.http_request(request),
            Observation::HttpClientRequest(request) => self.http_client_request(request),
            other => self.record_operation(other),
        }
    }

    pub(super) fn dropped(&self, reason: Dropped, what: &str) {
        self.backend.dropped(reason, what);
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
        // A table of their own: many error types must not use up the label sets of the routes.
        let mut failed = labels.clone();
        failed.set(Label::ErrorType, error_type);
        let find = |labels: &Labels| http::server_duration(&self.backend, labels);
        let histogram = self.http_failed.resolve(&mut failed, find).value;
        record(histogram, request.duration, request.trace.as_ref());
        let component = if request.component.is_empty() {
            Kind::HttpRequest.name()
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
        self.failed_in(request.outcome, request.error_type, Kind::HttpClient);
    }

    fn report_truncated(&self, labels: &Labels) {
        for _ in 0..labels.truncated() {
            self.backend
                .dropped(Dropped::Truncated, labels.truncated_name());
        }
    }

    /// Returns the series of these labels in `table`.
    pub(super) fn series<'s, T: OperationSeries<B>>(
        &'s self,
        table: &'s Interner<T>,
        mut labels: Labels,
    ) -> &'s T {
        self.resolve(table, &mut labels).value
    }

    fn resolve<'s, T: OperationSeries<B>>(
        &'s self,
        table: &'s Interner<T>,
        labels: &mut Labels,
    ) -> Interned<'s, T> {
        self.report_truncated(labels);
        let interned = table.resolve(labels, |labels| T::new(&self.backend, labels));
        if interned.is_overflow {
            self.backend.overflowed(T::METRICS);
        }
        interned
    }
}

fn record<D: Distribution>(histogram: &D, duration: Duration, trace: Option<&TraceReference>) {
    let seconds = duration.as_secs_f64();
    histogram.record(seconds);
    if let Some(trace) = trace {
        histogram.exemplify(seconds, trace);
    }
}

pub(super) fn model_labels(model: Model<'_>) -> Labels {
    [
        (Label::ModelId, model.model_id),
        (Label::ModelType, model.model_type),
        (Label::Engine, model.engine),
    ]
    .into_iter()
    .collect()
}
