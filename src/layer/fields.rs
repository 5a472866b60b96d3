//! Maps field names to roles: the table of all accepted field names.
//!
//! The names are those of the JavaScript monitoring system that this crate replaces, of the OpenTelemetry semantic
//! conventions (`GenAI` v1.41.1, HTTP, databases, messaging, with older spellings) and of `OpenInference`.

use std::collections::BTreeMap;

use crate::observation::{CustomKind, Label, TokenDetail};

/// The meaning of a field of a span or an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A field without a meaning for metrics.
    None,
    Label(Label),
    /// The error type or the component of a failure: no label of the called model or server.
    Failure(Label),
    /// `status`: the outcome; the status code of an HTTP request if the value is a number.
    Status,
    /// `error`: the operation failed. The text is ignored, because a message is no error type.
    Error,
    OutputTokens,
    InputTokens,
    /// A token count beside input and output.
    TokenDetail(TokenDetail),
    TokenSource,
    Streaming,
    QueueSeconds,
    StatusCode,
    RequestSize,
    ResponseSize,
    Hit,
    MessagesReceived,
    MessagesSent,
    /// `observatory.ended`: the operation ended, although its span may live on.
    Ended,
    TraceId,
    SpanId,
    /// `observatory.kind`: the kind of the span, whatever its name.
    Kind,
    /// `otel.kind`: `client` marks the span of a sent HTTP request.
    SpanKind,
    /// The number of an event: the tokens of a chunk, the bytes of a cache, a score.
    Amount,
    /// `message`, which may be the name of the event.
    Message,
    /// A property of an alert.
    Alert(AlertField),
    /// A metric of the application; its name follows the prefix.
    Metric(CustomKind),
    /// The content of a prompt or an answer: never a label of a metric or an alert.
    Content,
}

/// A property of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AlertField {
    /// `alert.rule`: the alert that the event raises.
    Rule,
    /// `alert.resolve`: the alert that the event resolves.
    Resolve,
    /// `alert.severity`
    Severity,
}

impl Role {
    /// Returns whether the field is a count or a size.
    pub(super) const fn is_count(self) -> bool {
        matches!(
            self,
            Self::OutputTokens
                | Self::InputTokens
                | Self::TokenDetail(_)
                | Self::RequestSize
                | Self::ResponseSize
                | Self::MessagesReceived
                | Self::MessagesSent
                | Self::Amount
        )
    }
}

const FIELDS: &[(&str, Role)] = &[
    ("model_id", Role::Label(Label::ModelId)),
    ("model_type", Role::Label(Label::ModelType)),
    ("engine", Role::Label(Label::Engine)),
    ("gen_ai.operation.name", Role::Label(Label::Operation)),
    ("gen_ai.provider.name", Role::Label(Label::Provider)),
    ("gen_ai.system", Role::Label(Label::Provider)),
    ("llm.provider", Role::Label(Label::Provider)),
    ("gen_ai.request.model", Role::Label(Label::RequestModel)),
    ("llm.model_name", Role::Label(Label::RequestModel)),
    ("gen_ai.response.model", Role::Label(Label::ResponseModel)),
    ("server.address", Role::Label(Label::ServerAddress)),
    ("server.port", Role::Label(Label::ServerPort)),
    ("error.type", Role::Failure(Label::ErrorType)),
    ("error_type", Role::Failure(Label::ErrorType)),
    ("component", Role::Failure(Label::Component)),
    // The target of a record of the `log` crate; the target of its event is `log`.
    ("log.target", Role::Failure(Label::Component)),
    ("method", Role::Label(Label::Method)),
    ("http.request.method", Role::Label(Label::Method)),
    ("http.method", Role::Label(Label::Method)),
    ("route", Role::Label(Label::Route)),
    ("http.route", Role::Label(Label::Route)),
    ("url.scheme", Role::Label(Label::UrlScheme)),
    ("http.scheme", Role::Label(Label::UrlScheme)),
    ("peer.service", Role::Label(Label::Peer)),
    ("service.peer.name", Role::Label(Label::Peer)),
    ("rpc.method", Role::Label(Label::RpcMethod)),
    ("rpc.response.status_code", Role::Label(Label::RpcStatus)),
    ("rpc.grpc.status_code", Role::Label(Label::RpcStatus)),
    ("operation", Role::Label(Label::Operation)),
    ("db.operation.name", Role::Label(Label::Operation)),
    ("db.operation", Role::Label(Label::Operation)),
    ("messaging.operation.name", Role::Label(Label::Operation)),
    ("cache_type", Role::Label(Label::CacheType)),
    ("table", Role::Label(Label::Table)),
    ("db.collection.name", Role::Label(Label::Table)),
    ("db.table", Role::Label(Label::Table)),
    ("db.sql.table", Role::Label(Label::Table)),
    ("queue", Role::Label(Label::Queue)),
    ("messaging.destination.name", Role::Label(Label::Queue)),
    ("strategy", Role::Label(Label::Strategy)),
    ("selected_model", Role::Label(Label::SelectedModel)),
    ("reason", Role::Label(Label::Reason)),
    ("connection_type", Role::Label(Label::ConnectionType)),
    ("comparison_model", Role::Label(Label::ComparisonModel)),
    ("status", Role::Status),
    ("error", Role::Error),
    ("exception.message", Role::Error),
    ("tokens", Role::OutputTokens),
    ("token_count", Role::OutputTokens),
    ("completion_tokens", Role::OutputTokens),
    ("output_tokens", Role::OutputTokens),
    ("gen_ai.usage.output_tokens", Role::OutputTokens),
    ("gen_ai.usage.completion_tokens", Role::OutputTokens),
    ("llm.token_count.completion", Role::OutputTokens),
    ("prompt_tokens", Role::InputTokens),
    ("input_tokens", Role::InputTokens),
    ("gen_ai.usage.input_tokens", Role::InputTokens),
    ("gen_ai.usage.prompt_tokens", Role::InputTokens),
    ("llm.token_count.prompt", Role::InputTokens),
    ("token_source", Role::TokenSource),
    ("streaming", Role::Streaming),
    ("stream", Role::Streaming),
    ("gen_ai.request.stream", Role::Streaming),
    ("queue_seconds", Role::QueueSeconds),
    ("status_code", Role::StatusCode),
    ("http.response.status_code", Role::StatusCode),
    ("http.status_code", Role::StatusCode),
    ("request_size", Role::RequestSize),
    ("http.request.body.size", Role::RequestSize),
    ("response_size", Role::ResponseSize),
    ("http.response.body.size", Role::ResponseSize),
    ("hit", Role::Hit),
    ("rpc.messages.received", Role::MessagesReceived),
    ("rpc.messages.sent", Role::MessagesSent),
    ("trace_id", Role::TraceId),
    ("span_id", Role::SpanId),
    ("observatory.kind", Role::Kind),
    ("observatory.ended", Role::Ended),
    ("otel.kind", Role::SpanKind),
    ("count", Role::Amount),
    ("bytes", Role::Amount),
    ("score", Role::Amount),
    ("similarity", Role::Amount),
    ("message", Role::Message),
    ("alert.rule", Role::Alert(AlertField::Rule)),
    ("alert.resolve", Role::Alert(AlertField::Resolve)),
    ("alert.severity", Role::Alert(AlertField::Severity)),
];

/// The prefixes of metric events, as in tracing-opentelemetry's `MetricsLayer`.
const METRIC_PREFIXES: [(&str, CustomKind); 4] = [
    ("monotonic_counter.", CustomKind::MonotonicCounter),
    ("counter.", CustomKind::UpDownCounter),
    ("gauge.", CustomKind::Gauge),
    ("histogram.", CustomKind::Histogram),
];

/// Returns the role of a field. `renamed` maps the application's names to names of the table.
pub(super) fn role(name: &str, renamed: &BTreeMap<String, String>) -> Role {
    let name = renamed.get(name).map_or(name, String::as_str);
    if let Some((_, role)) = FIELDS.iter().find(|(known, _)| *known == name) {
        return *role;
    }
    if let Some(detail) = TokenDetail::of_field(name) {
        return Role::TokenDetail(detail);
    }
    metric(name).map_or(Role::None, |(kind, _)| Role::Metric(kind))
}

/// Returns the kind and the name of the metric that a field records.
pub(super) fn metric(field: &str) -> Option<(CustomKind, &str)> {
    METRIC_PREFIXES
        .iter()
        .find_map(|(prefix, kind)| Some((*kind, field.strip_prefix(prefix)?)))
}

/// Returns whether the table has this name; validates a configured mapping.
pub(crate) fn is_known(name: &str) -> bool {
    FIELDS.iter().any(|(known, _)| *known == name) || TokenDetail::of_field(name).is_some()
}
