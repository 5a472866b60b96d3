//! What was observed, in the vocabulary of services that route or serve LLM inference.
//!
//! An [`Observation`] is plain data: the Layer makes them from spans and events, and a test or a
//! `record_*()` call makes them by hand. A [`Sink`] takes them. Nothing here knows spans, exporters or
//! registries.

mod attribute;
mod http;
pub(crate) mod interner;
mod kind;
mod labels;
mod mapping;
mod outcome;
mod rpc;
mod sink;
mod tokens;

use std::time::{Duration, SystemTime};

pub use self::{
    attribute::AttributeValue,
    http::{HttpClientRequest, HttpRequest},
    labels::{Label, Labels, MAX_VALUE_BYTES, OVERFLOW},
    mapping::Mapping,
    outcome::Outcome,
    rpc::{Rpc, RpcStatus},
    sink::{Dropped, FnSink, Handle, InFlight, Sink},
    tokens::{TokenSource, Tokens},
};
pub(crate) use self::{http::known_method, kind::Kind, labels::Text};

/// One thing that happened, whole.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Observation<'a> {
    /// One call of a model.
    Inference(Inference<'a>),
    /// A model was loaded.
    ModelLoad(ModelLoad<'a>),
    /// A model was unloaded.
    ModelUnload {
        /// Architecture of the model.
        model_type: &'a str,
    },
    /// One HTTP request was served.
    HttpRequest(HttpRequest<'a>),
    /// One HTTP request was sent, and answered or not.
    HttpClientRequest(HttpClientRequest<'a>),
    /// One operation on a cache.
    CacheOperation(CacheOperation<'a>),
    /// The size of a cache.
    CacheSize {
        /// Which cache.
        cache_type: &'a str,
        /// What it holds now.
        bytes: u64,
    },
    /// One operation on a database.
    DatabaseOperation(DatabaseOperation<'a>),
    /// One operation on a queue.
    QueueOperation(QueueOperation<'a>),
    /// A model was chosen for a request.
    RoutingDecision(RoutingDecision<'a>),
    /// A connection was opened or closed.
    Connection {
        /// `http`, `grpc`, `websocket`, …
        connection_type: &'a str,
        /// Opened, or closed.
        is_open: bool,
    },
    /// The quality of a model's answers, `0.0..=1.0`.
    ModelQuality {
        /// Which model.
        model: Model<'a>,
        /// The score.
        score: f64,
    },
    /// How alike the answers of two models were, `0.0..=1.0`.
    ResponseSimilarity {
        /// Which model.
        model: Model<'a>,
        /// The one it was compared with.
        comparison_model: &'a str,
        /// The similarity.
        similarity: f64,
    },
    /// An error that belongs to no operation above.
    Error(ErrorEvent<'a>),
    /// A metric of the application's own.
    Custom(CustomMetric<'a>),
    /// The application says that something is wrong, or is no longer.
    Alert(AlertSignal<'a>),
}

impl Observation<'_> {
    /// The value of the label `kind` in `observatory_observations_total`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Inference(_) => "inference",
            Self::ModelLoad(_) => "model_load",
            Self::ModelUnload { .. } => "model_unload",
            Self::HttpRequest(_) => "http_request",
            Self::HttpClientRequest(_) => "http_client",
            Self::CacheOperation(_) | Self::CacheSize { .. } => "cache",
            Self::DatabaseOperation(_) => "database",
            Self::QueueOperation(_) => "queue",
            Self::RoutingDecision(_) => "routing",
            Self::Connection { .. } => "connection",
            Self::ModelQuality { .. } | Self::ResponseSimilarity { .. } => "quality",
            Self::Error(_) => "error",
            Self::Custom(_) => "custom",
            Self::Alert(_) => "alert",
        }
    }
}

/// The application says that something is wrong, or is no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertSignal<'a> {
    /// The alert's name; it need not be that of a rule.
    pub rule: &'a str,
    /// Whether it is over.
    pub is_over: bool,
    /// How bad it is: `info`, `warning`, `error` or `critical`; `None` for what the rule of that name says, else
    /// `warning`.
    pub severity: Option<&'a str>,
    /// What a person reads.
    pub message: &'a str,
    /// What tells it apart from others of its name.
    pub labels: &'a [(&'a str, &'a str)],
    /// The trace in which it was said, if that is kept.
    pub trace: Option<TraceReference>,
}

/// A model, as the system of old names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Model<'a> {
    /// `gpt-4o`.
    pub model_id: &'a str,
    /// `transformer`.
    pub model_type: &'a str,
    /// `openai`, `vllm`.
    pub engine: &'a str,
}

impl<'a> Model<'a> {
    /// A model by its id, type and engine. An empty string means unknown.
    #[must_use]
    pub const fn new(model_id: &'a str, model_type: &'a str, engine: &'a str) -> Self {
        Self {
            model_id,
            model_type,
            engine,
        }
    }
}

/// The trace that an observation belongs to; becomes an exemplar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceReference {
    /// W3C trace id.
    pub trace_id: u128,
    /// W3C span id.
    pub span_id: u64,
    /// When it was observed.
    pub time: SystemTime,
}

/// One call of a model: who was called, and how it went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Inference<'a> {
    /// Which model.
    pub model: Model<'a>,
    /// Attributes of the OpenTelemetry `GenAI` conventions, where known.
    pub gen_ai: GenAi<'a>,
    /// How it went.
    pub end: InferenceEnd,
}

impl<'a> Inference<'a> {
    /// A successful inference that took `duration`.
    #[must_use]
    pub fn new(model: Model<'a>, duration: Duration) -> Self {
        Self {
            model,
            gen_ai: GenAi::default(),
            end: InferenceEnd {
                duration,
                ..InferenceEnd::default()
            },
        }
    }

    /// Sets its tokens.
    #[must_use]
    pub const fn with_tokens(mut self, tokens: Tokens) -> Self {
        self.end.tokens = tokens;
        self
    }

    /// Sets how it ended.
    #[must_use]
    pub const fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.end.outcome = outcome;
        self
    }

    /// Sets the time to the first content token; makes it a streamed inference.
    #[must_use]
    pub const fn with_time_to_first_token(mut self, duration: Duration) -> Self {
        self.end.time_to_first_token = Some(duration);
        self.end.is_streaming = true;
        self
    }

    /// The labels of who was called.
    #[must_use]
    pub fn labels(&self) -> Labels {
        let Self { model, gen_ai, .. } = self;
        [
            (Label::ModelId, model.model_id),
            (Label::ModelType, model.model_type),
            (Label::Engine, model.engine),
            (Label::Operation, gen_ai.operation),
            (Label::Provider, gen_ai.provider),
            (Label::RequestModel, gen_ai.request_model),
            (Label::ResponseModel, gen_ai.response_model),
            (Label::ServerAddress, gen_ai.server_address),
            (Label::ServerPort, gen_ai.server_port),
        ]
        .into_iter()
        .collect()
    }

    /// Class and component of its failure.
    #[must_use]
    pub fn failure(&self) -> Labels {
        [
            (Label::ErrorType, self.gen_ai.error_type),
            (Label::Component, self.gen_ai.component),
        ]
        .into_iter()
        .collect()
    }

    /// The inference with these labels, those of its failure among them, that ended so.
    #[must_use]
    pub fn from_labels(labels: &'a Labels, end: InferenceEnd) -> Self {
        Self {
            model: Model::new(
                labels.value(Label::ModelId),
                labels.value(Label::ModelType),
                labels.value(Label::Engine),
            ),
            gen_ai: GenAi {
                operation: labels.value(Label::Operation),
                provider: labels.value(Label::Provider),
                request_model: labels.value(Label::RequestModel),
                response_model: labels.value(Label::ResponseModel),
                server_address: labels.value(Label::ServerAddress),
                server_port: labels.value(Label::ServerPort),
                error_type: labels.value(Label::ErrorType),
                component: labels.value(Label::Component),
            },
            end,
        }
    }
}

/// Attributes of the OpenTelemetry `GenAI` semantic conventions (v1.41.1). An empty string means unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GenAi<'a> {
    /// `gen_ai.operation.name`; `chat` where unknown.
    pub operation: &'a str,
    /// `gen_ai.provider.name`; the engine where unknown.
    pub provider: &'a str,
    /// `gen_ai.request.model`; the model id where unknown.
    pub request_model: &'a str,
    /// `gen_ai.response.model`.
    pub response_model: &'a str,
    /// `server.address`.
    pub server_address: &'a str,
    /// `server.port`.
    pub server_port: &'a str,
    /// `error.type`, a class such as `rate_limited`, never a message.
    pub error_type: &'a str,
    /// The part of the service that a failure is counted for; `inference` where unknown.
    pub component: &'a str,
}

/// How an inference went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct InferenceEnd {
    /// How it ended.
    pub outcome: Outcome,
    /// From the request to the last token.
    pub duration: Duration,
    /// Its tokens.
    pub tokens: Tokens,
    /// From the request to the first content token.
    pub time_to_first_token: Option<Duration>,
    /// Time spent waiting for the engine.
    pub queue_duration: Option<Duration>,
    /// Whether the answer was streamed.
    pub is_streaming: bool,
    /// The trace it belongs to, for exemplars.
    pub trace: Option<TraceReference>,
}

impl InferenceEnd {
    /// `(duration − time to first token) / (output tokens − 1)`, where both are known.
    #[must_use]
    #[inline]
    pub fn time_per_output_token(&self) -> Option<Duration> {
        let first = self.time_to_first_token?;
        let gaps = self
            .tokens
            .output?
            .checked_sub(1)
            .filter(|gaps| *gaps > 0)?;
        let decode = self.duration.checked_sub(first)?;
        Some(Duration::from_secs_f64(decode.as_secs_f64() / gaps as f64))
    }
}

/// A model was loaded, or failed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelLoad<'a> {
    /// Which model.
    pub model: Model<'a>,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub duration: Duration,
    /// The class of the error, where it failed.
    pub error_type: &'a str,
}

/// What a cache answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CacheResult {
    /// It was there (or the operation, a `set`, say, did what was asked).
    #[default]
    Hit,
    /// It was not there.
    Miss,
    /// The cache failed.
    Error,
}

impl CacheResult {
    /// Every result, in the order of its number.
    pub const ALL: [Self; 3] = [Self::Hit, Self::Miss, Self::Error];

    /// The value of the label `status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Error => "error",
        }
    }
}

/// One operation on a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheOperation<'a> {
    /// `get`, `set`, `delete`.
    pub operation: &'a str,
    /// Which cache.
    pub cache_type: &'a str,
    /// What it answered.
    pub result: CacheResult,
    /// How long it took.
    pub duration: Duration,
    /// The class of the error, where it failed.
    pub error_type: &'a str,
}

/// One operation on a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatabaseOperation<'a> {
    /// `SELECT`, `INSERT`, `findOne`.
    pub operation: &'a str,
    /// Table or collection.
    pub table: &'a str,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub duration: Duration,
    /// The class of the error, where it failed.
    pub error_type: &'a str,
}

/// One operation on a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueOperation<'a> {
    /// Which queue.
    pub queue: &'a str,
    /// `publish`, `receive`, `wait`.
    pub operation: &'a str,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub duration: Duration,
    /// The class of the error, where it failed.
    pub error_type: &'a str,
}

/// A model was chosen for a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoutingDecision<'a> {
    /// `round_robin`, `cheapest`, …
    pub strategy: &'a str,
    /// The model that was chosen.
    pub selected_model: &'a str,
    /// Why; from a small fixed set.
    pub reason: &'a str,
    /// How it ended.
    pub outcome: Outcome,
    /// How long the choice took.
    pub duration: Duration,
    /// The class of the error, where it failed.
    pub error_type: &'a str,
}

/// An error that belongs to no operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorEvent<'a> {
    /// The class of the error, never its message; `error` where empty.
    pub error_type: &'a str,
    /// The part of the service it belongs to.
    pub component: &'a str,
}

/// What kind of metric a [`CustomMetric`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CustomKind {
    /// Only rises; its name gets the suffix `_total`.
    MonotonicCounter,
    /// Rises and falls by what is recorded.
    UpDownCounter,
    /// Is what was recorded last.
    Gauge,
    /// The distribution of what is recorded.
    Histogram,
}

/// One recording into a metric of the application's own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CustomMetric<'a> {
    /// Its name, as the application spells it.
    pub name: &'a str,
    /// Its kind.
    pub kind: CustomKind,
    /// What is recorded.
    pub value: f64,
    /// Its labels.
    pub labels: &'a [(&'a str, &'a str)],
}

macro_rules! into_observation {
    ($($kind:ident => $variant:ident),* $(,)?) => {
        $(impl<'a> From<$kind<'a>> for Observation<'a> {
            fn from(observed: $kind<'a>) -> Self {
                Self::$variant(observed)
            }
        })*
    };
}

into_observation! {
    Inference => Inference,
    ModelLoad => ModelLoad,
    HttpRequest => HttpRequest,
    HttpClientRequest => HttpClientRequest,
    CacheOperation => CacheOperation,
    DatabaseOperation => DatabaseOperation,
    QueueOperation => QueueOperation,
    AlertSignal => Alert,
    RoutingDecision => RoutingDecision,
    ErrorEvent => Error,
    CustomMetric => Custom,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_per_output_token_is_the_mean_gap_after_the_first() {
        let end = InferenceEnd {
            duration: Duration::from_secs(5),
            tokens: Tokens::new(10, 5),
            time_to_first_token: Some(Duration::from_secs(1)),
            ..InferenceEnd::default()
        };
        assert_eq!(end.time_per_output_token(), Some(Duration::from_secs(1)));
        for (tokens, first) in [
            (1, Some(Duration::ZERO)),
            (0, Some(Duration::ZERO)),
            (5, None),
        ] {
            let end = InferenceEnd {
                tokens: Tokens::new(0, tokens),
                time_to_first_token: first,
                ..end
            };
            assert_eq!(end.time_per_output_token(), None, "{tokens} tokens");
        }
    }

    #[test]
    fn an_inference_survives_the_way_through_its_labels() {
        let inference = Inference {
            gen_ai: GenAi {
                provider: "openai",
                error_type: "rate_limited",
                ..GenAi::default()
            },
            ..Inference::new(
                Model::new("gpt-4o", "transformer", "openai"),
                Duration::from_secs(1),
            )
        };
        let mut labels = inference.labels();
        labels.extend(&inference.failure());
        assert_eq!(Inference::from_labels(&labels, inference.end), inference);
    }
}
