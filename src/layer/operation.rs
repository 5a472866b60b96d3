//! Stores an open span of any kind but inference, and turns the closed span into an observation.

use std::time::Duration;

use super::{
    open::outcome,
    values::{UNSET, Values},
};
use crate::{
    observation::{
        CacheOperation, CacheResult, Handle, HttpClientRequest, HttpRequest, InFlight, Kind, Label,
        Labels, Model, ModelLoad, Observation, OperationEnd, Outcome, Rpc, RpcStatus,
        TraceReference,
    },
    runtime::clock::Clock,
};

/// An open span of any kind but inference.
pub(super) struct Operation {
    pub(super) kind: Kind,
    pub(super) start: u64,
    pub(super) labels: Labels,
    pub(super) values: Values,
    pub(super) has_panicked: bool,
    pub(super) was_opened_in_panic: bool,
    pub(super) declares_status: bool,
    /// The handle of an HTTP request in flight: its end decrements the series that its start incremented.
    pub(super) in_flight: Option<Handle>,
    /// Number of the plan of the span's callsite.
    pub(super) plan: u32,
}

impl Operation {
    /// Returns the observation of the closed span; `None` for a span that counts nothing.
    pub(super) fn observation(&self, duration: Duration, clock: &Clock) -> Option<Observation<'_>> {
        let Self { labels, values, .. } = self;
        let error_type = self.error_type();
        let outcome = self.outcome();
        let model = || {
            Model::new(
                labels.value(Label::ModelId),
                labels.value(Label::ModelType),
                labels.value(Label::Engine),
            )
        };
        Some(match self.kind {
            Kind::ModelLoad => ModelLoad {
                model: model(),
                outcome,
                duration,
                error_type,
            }
            .into(),
            Kind::ModelUnload if outcome == Outcome::Success => Observation::ModelUnload {
                model_type: model().model_type,
            },
            // The interpreter closes inferences itself; a failed unload leaves the model loaded.
            Kind::Inference | Kind::ModelUnload => return None,
            // A client span measures a remote server.
            Kind::HttpRequest if values.is_client => HttpClientRequest {
                peer: self.peer(),
                method: self.method(),
                status_code: values.status_code,
                duration,
                request_size: values.request_size,
                response_size: values.response_size,
                outcome: self.http_outcome(),
                error_type,
                rpc: self.rpc(),
                trace: trace(values, clock),
            }
            .into(),
            Kind::HttpRequest => HttpRequest {
                method: self.method(),
                route: labels.value(Label::Route),
                status_code: values.status_code,
                duration,
                request_size: values.request_size,
                response_size: values.response_size,
                outcome: self.http_outcome(),
                error_type,
                component: labels.value(Label::Component),
                scheme: labels.value(Label::UrlScheme),
                rpc: self.rpc(),
                trace: trace(values, clock),
            }
            .into(),
            Kind::Cache => CacheOperation {
                operation: labels.value(Label::Operation),
                cache_type: labels.value(Label::CacheType),
                result: self.cache_result(outcome),
                duration,
                error_type,
            }
            .into(),
            Kind::Connection => Observation::Connection {
                connection_type: self.connection_type()?,
                is_open: false,
            },
            kind => {
                let end = OperationEnd {
                    labels,
                    outcome,
                    duration,
                    error_type,
                };
                return Observation::of_operation(kind, end);
            }
        })
    }

    /// Returns the type of an open connection; `None` for other kinds.
    pub(super) fn connection_type(&self) -> Option<&str> {
        (self.kind == Kind::Connection)
            .then(|| self.labels.get(Label::ConnectionType).unwrap_or("other"))
    }

    /// Returns the HTTP request that counts as in flight; `None` for other kinds.
    pub(super) fn in_flight_request(&self) -> Option<InFlight<'_>> {
        (self.kind == Kind::HttpRequest).then(|| InFlight {
            method: self.method(),
            scheme: self.labels.value(Label::UrlScheme),
            peer: self.values.is_client.then(|| self.peer()),
        })
    }

    /// Returns the configured name of the called server, else its address.
    fn peer(&self) -> &str {
        self.labels
            .get(Label::Peer)
            .unwrap_or(self.labels.value(Label::ServerAddress))
    }

    /// Returns the HTTP method; gRPC calls always use POST.
    fn method(&self) -> &str {
        let otherwise = if self.labels.get(Label::RpcMethod).is_some() {
            "POST"
        } else {
            ""
        };
        self.labels.get(Label::Method).unwrap_or(otherwise)
    }

    fn rpc(&self) -> Option<Rpc<'_>> {
        let status = self.labels.get(Label::RpcStatus).and_then(RpcStatus::parse);
        let method = self.labels.get(Label::RpcMethod);
        (method.is_some() || status.is_some()).then(|| Rpc {
            method: method.unwrap_or("_OTHER"),
            status,
            received: self.values.messages_received,
            sent: self.values.messages_sent,
        })
    }

    /// Returns the outcome of an HTTP request: a request with an HTTP or a gRPC status code was not cancelled.
    fn http_outcome(&self) -> Outcome {
        let has_ended =
            self.values.status_code.is_some() || self.labels.get(Label::RpcStatus).is_some();
        if has_ended
            && self.values.status.is_none()
            && !self.values.has_failed
            && !self.has_panicked
        {
            Outcome::Success
        } else {
            self.outcome()
        }
    }

    /// Records an ERROR event inside the span.
    pub(super) fn fail(&mut self, labels: &Labels) {
        self.values.has_failed = true;
        if let Some(error_type) = labels.get(Label::ErrorType) {
            self.values.has_timed_out |= error_type == "timeout";
            self.labels.set(Label::ErrorType, error_type);
        }
        if let Some(component) = labels.get(Label::Component) {
            self.labels.set(Label::Component, component);
        }
    }

    /// Marks a panic, unless the span was opened during that panic.
    pub(super) fn mark_panicked(&mut self) {
        self.has_panicked |= !self.was_opened_in_panic;
    }

    /// Handles the close. During a panic, a span without a recorded end counts as panicked.
    pub(super) fn closed(&mut self, in_panic: bool) {
        if in_panic
            && self.values.status.is_none()
            && self.values.status_code.is_none()
            && self.labels.get(Label::RpcStatus).is_none()
        {
            self.mark_panicked();
        }
    }

    /// Returns error type and component of a failure that the observation of this kind does not carry.
    pub(super) fn separate_failure(&self) -> Option<(&str, &'static str)> {
        let is_separate = matches!(self.kind, Kind::Connection | Kind::ModelUnload);
        (is_separate && self.outcome().is_failure()).then(|| (self.error_type(), self.kind.name()))
    }

    fn error_type(&self) -> &str {
        match self.labels.get(Label::ErrorType) {
            None if self.has_panicked => "panic",
            _ if self.is_cancelled() => "",
            named => named.unwrap_or_default(),
        }
    }

    /// Returns true if the recorded error type says that the caller cancelled the operation.
    fn is_cancelled(&self) -> bool {
        let error_type = self.labels.get(Label::ErrorType);
        !self.has_panicked && error_type == Some(Outcome::Cancelled.as_str())
    }

    fn outcome(&self) -> Outcome {
        if self.is_cancelled() {
            return Outcome::Cancelled;
        }
        let Values {
            status,
            has_failed,
            has_timed_out,
            ..
        } = self.values;
        outcome(
            status,
            has_failed,
            has_timed_out,
            self.has_panicked,
            self.declares_status,
        )
    }

    fn cache_result(&self, outcome: Outcome) -> CacheResult {
        match (outcome, self.values.cache) {
            (Outcome::Error | Outcome::Timeout, _) => CacheResult::Error,
            (_, Some(result)) => result,
            // A read without a result is a miss; a write without a failure succeeded.
            _ if matches!(
                self.labels.value(Label::Operation),
                "get" | "lookup" | "read"
            ) =>
            {
                CacheResult::Miss
            }
            _ => CacheResult::Hit,
        }
    }
}

fn trace(values: &Values, clock: &Clock) -> Option<TraceReference> {
    (values.trace_low != UNSET).then(|| TraceReference {
        trace_id: u128::from(values.trace_high) << 64 | u128::from(values.trace_low),
        span_id: if values.span == UNSET { 0 } else { values.span },
        time: clock.wall(),
    })
}
