//! Open spans that are no inference: what they recorded is kept until they close.

use std::time::Duration;

use super::{
    kind::Kind,
    open::outcome,
    values::{UNSET, Values},
};
use crate::observation::{
    CacheOperation, CacheResult, DatabaseOperation, Handle, HttpClientRequest, HttpRequest,
    InFlight, Label, Labels, Model, ModelLoad, Observation, Outcome, QueueOperation,
    RoutingDecision, Rpc, RpcStatus, TraceReference,
};
use crate::runtime::clock::Clock;

/// What is known of one open span.
pub(super) struct Operation {
    pub(super) kind: Kind,
    pub(super) start: u64,
    pub(super) labels: Labels,
    pub(super) values: Values,
    pub(super) has_panicked: bool,
    pub(super) was_opened_in_panic: bool,
    pub(super) declares_status: bool,
    /// What it was counted as when it was opened, where it is an HTTP request: it leaves as what it came.
    pub(super) under_way: Option<Handle>,
    /// Of its callsite's plan.
    pub(super) plan: u32,
}

impl Operation {
    /// The observation that it is, after `duration`; `None` for what is not ours to count.
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
            // An inference has its own way; a model that was not unloaded is still there.
            Kind::Inference | Kind::ModelUnload => return None,
            // What a client span measures is somebody else's server.
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
            Kind::Database => DatabaseOperation {
                operation: labels.value(Label::Operation),
                table: labels.value(Label::Table),
                outcome,
                duration,
                error_type,
            }
            .into(),
            Kind::Queue => QueueOperation {
                queue: labels.value(Label::Queue),
                operation: labels.value(Label::Operation),
                outcome,
                duration,
                error_type,
            }
            .into(),
            Kind::Routing => RoutingDecision {
                strategy: labels.value(Label::Strategy),
                selected_model: labels.value(Label::SelectedModel),
                reason: labels.value(Label::Reason),
                outcome,
                duration,
                error_type,
            }
            .into(),
            Kind::Connection => Observation::Connection {
                connection_type: self.connection_type()?,
                is_open: false,
            },
        })
    }

    /// The type of an open connection; `None` for other kinds.
    pub(super) fn connection_type(&self) -> Option<&str> {
        (self.kind == Kind::Connection)
            .then(|| self.labels.get(Label::ConnectionType).unwrap_or("other"))
    }

    /// What it counts as while it is open; `None` for what is no HTTP request.
    pub(super) fn begins_as(&self) -> Option<InFlight<'_>> {
        (self.kind == Kind::HttpRequest).then(|| InFlight {
            method: self.method(),
            scheme: self.labels.value(Label::UrlScheme),
            peer: self.values.is_client.then(|| self.peer()),
        })
    }

    /// The name that the configuration gives a server, else its address.
    fn peer(&self) -> &str {
        self.labels
            .get(Label::Peer)
            .unwrap_or(self.labels.value(Label::ServerAddress))
    }

    /// gRPC knows no other method than POST.
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

    /// A status code, or gRPC's, is an end: such a span was not given up.
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

    /// An ERROR event came inside it.
    pub(super) fn fail(&mut self, labels: &Labels) {
        self.values.has_failed = true;
        if let Some(error_type) = labels.get(Label::ErrorType) {
            self.values.has_timed_out |= error_type == "timeout";
            self.labels.set(Label::ErrorType, error_type);
        }
    }

    /// A panic unwinds through it, unless it was opened in that panic.
    pub(super) fn panicked(&mut self) {
        self.has_panicked |= !self.was_opened_in_panic;
    }

    /// It closes. If it had said how it ended before the thread panicked, it was merely still held.
    pub(super) fn closed(&mut self, in_panic: bool) {
        if in_panic
            && self.values.status.is_none()
            && self.values.status_code.is_none()
            && self.labels.get(Label::RpcStatus).is_none()
        {
            self.panicked();
        }
    }

    /// Class and component of a failure that its observation, if it has one, does not carry.
    pub(super) fn failure_beside(&self) -> Option<(&str, &'static str)> {
        let component = match self.kind {
            Kind::Connection => "connection",
            Kind::ModelUnload => "model_unload",
            _ => return None,
        };
        self.outcome()
            .is_failure()
            .then(|| (self.error_type(), component))
    }

    fn error_type(&self) -> &str {
        match self.labels.get(Label::ErrorType) {
            None if self.has_panicked => "panic",
            named => named.unwrap_or_default(),
        }
    }

    fn outcome(&self) -> Outcome {
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
            // A question that was not answered found nothing; a `set` did what it was asked.
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
