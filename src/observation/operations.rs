//! Defines the observations: inferences, HTTP requests, operations, scores, errors, custom metrics and alerts.

use std::time::Duration;

use super::{
    HttpClientRequest, HttpRequest, Inference, Label, Labels, Model, Outcome, TraceReference,
    kind::Kind,
};
use crate::runtime::named;

/// An observation of the service: an operation that ended, a measured value, or an event.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Observation<'a> {
    /// A call of a model.
    Inference(Inference<'a>),
    /// A model was loaded.
    ModelLoad(ModelLoad<'a>),
    /// A model was unloaded.
    ModelUnload {
        /// Architecture of the model.
        model_type: &'a str,
    },
    /// An HTTP request was served.
    HttpRequest(HttpRequest<'a>),
    /// An HTTP request was sent, with or without a response.
    HttpClientRequest(HttpClientRequest<'a>),
    /// A cache operation.
    CacheOperation(CacheOperation<'a>),
    /// The size of a cache.
    CacheSize {
        /// Name of the cache.
        cache_type: &'a str,
        /// Current size of the cache, in bytes.
        bytes: u64,
    },
    /// A database operation.
    DatabaseOperation(DatabaseOperation<'a>),
    /// A queue operation.
    QueueOperation(QueueOperation<'a>),
    /// The choice of a model for a request.
    RoutingDecision(RoutingDecision<'a>),
    /// A connection was opened or closed.
    Connection {
        /// `http`, `grpc`, `websocket`, …
        connection_type: &'a str,
        /// `true` for an opened connection, `false` for a closed connection.
        is_open: bool,
    },
    /// The quality of a model's answers, `0.0..=1.0`.
    ModelQuality {
        /// The model.
        model: Model<'a>,
        /// The score.
        score: f64,
    },
    /// The similarity of two models' answers, `0.0..=1.0`.
    ResponseSimilarity {
        /// The model.
        model: Model<'a>,
        /// The model that `model` was compared with.
        comparison_model: &'a str,
        /// The similarity.
        similarity: f64,
    },
    /// An error outside the operations above.
    Error(ErrorEvent<'a>),
    /// A recording into a metric of the application.
    Custom(CustomMetric<'a>),
    /// The application raises or resolves an alert.
    Alert(AlertSignal<'a>),
}

impl Observation<'_> {
    /// Returns the value of the label `kind` in `observatory_observations_total`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        self.classify().name()
    }

    /// Returns the kind.
    pub(crate) const fn classify(&self) -> Kind {
        match self {
            Self::Inference(_) => Kind::Inference,
            Self::ModelLoad(_) => Kind::ModelLoad,
            Self::ModelUnload { .. } => Kind::ModelUnload,
            Self::HttpRequest(_) => Kind::HttpRequest,
            Self::HttpClientRequest(_) => Kind::HttpClient,
            Self::CacheOperation(_) | Self::CacheSize { .. } => Kind::Cache,
            Self::DatabaseOperation(_) => Kind::Database,
            Self::QueueOperation(_) => Kind::Queue,
            Self::RoutingDecision(_) => Kind::Routing,
            Self::Connection { .. } => Kind::Connection,
            Self::ModelQuality { .. } | Self::ResponseSimilarity { .. } => Kind::Quality,
            Self::Error(_) => Kind::Error,
            Self::Custom(_) => Kind::Custom,
            Self::Alert(_) => Kind::Alert,
        }
    }
}

/// The end of a timed operation, as its span reports it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OperationEnd<'a> {
    pub(crate) labels: &'a Labels,
    pub(crate) outcome: Outcome,
    pub(crate) duration: Duration,
    pub(crate) error_type: &'a str,
}

/// Defines the operations that consist of labels, an outcome and a duration. A row holds the observation, its kind,
/// and its fields with their labels, in canonical order.
macro_rules! operations {
    ($(
        $(#[$doc:meta])*
        $operation:ident of $kind:ident {
            $($(#[$field_doc:meta])* $field:ident: $label:ident,)*
        }
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
            pub struct $operation<'a> {
                $($(#[$field_doc])* pub $field: &'a str,)*
                /// The outcome.
                pub outcome: Outcome,
                /// The duration.
                pub duration: Duration,
                /// The class of the error of a failed operation.
                pub error_type: &'a str,
            }

            impl $operation<'_> {
                /// Returns the labels, without outcome and error type.
                pub(crate) fn labels(&self) -> Labels {
                    [$((Label::$label, self.$field),)*].into_iter().collect()
                }
            }

            impl<'a> From<$operation<'a>> for Observation<'a> {
                fn from(operation: $operation<'a>) -> Self {
                    Self::$operation(operation)
                }
            }
        )*

        impl<'a> Observation<'a> {
            /// Returns the observation of a timed operation; `None` for kinds that need more than
            /// labels, an outcome and a duration.
            pub(crate) fn of_operation(kind: Kind, end: OperationEnd<'a>) -> Option<Self> {
                match kind {
                    $(Kind::$kind => Some(Self::$operation($operation {
                        $($field: end.labels.value(Label::$label),)*
                        outcome: end.outcome,
                        duration: end.duration,
                        error_type: end.error_type,
                    })),)*
                    Kind::Inference
                    | Kind::ModelLoad
                    | Kind::ModelUnload
                    | Kind::HttpRequest
                    | Kind::HttpClient
                    | Kind::Cache
                    | Kind::Connection
                    | Kind::Quality
                    | Kind::Error
                    | Kind::Custom
                    | Kind::Alert => None,
                }
            }
        }
    };
}

operations! {
    /// A database operation.
    DatabaseOperation of Database {
        /// `SELECT`, `INSERT`, `findOne`.
        operation: Operation,
        /// Table or collection.
        table: Table,
    }
    /// A queue operation.
    QueueOperation of Queue {
        /// `publish`, `receive`, `wait`.
        operation: Operation,
        /// Name of the queue.
        queue: Queue,
    }
    /// The choice of a model for a request.
    RoutingDecision of Routing {
        /// `round_robin`, `cheapest`, …
        strategy: Strategy,
        /// The selected model.
        selected_model: SelectedModel,
        /// The reason for the selection; from a small fixed set.
        reason: Reason,
    }
}

/// The loading of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelLoad<'a> {
    /// The model.
    pub model: Model<'a>,
    /// The outcome.
    pub outcome: Outcome,
    /// The duration.
    pub duration: Duration,
    /// The class of the error of a failed load.
    pub error_type: &'a str,
}

named! {
    /// The result of a cache operation.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum CacheResult {
        /// The cache had the entry, or the operation (`set`, `delete`) succeeded.
        #[default]
        Hit = "hit",
        /// The cache did not have the entry.
        Miss = "miss",
        /// The cache failed.
        Error = "error",
    }
}

/// A cache operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheOperation<'a> {
    /// `get`, `set`, `delete`.
    pub operation: &'a str,
    /// Name of the cache.
    pub cache_type: &'a str,
    /// The result.
    pub result: CacheResult,
    /// The duration.
    pub duration: Duration,
    /// The class of the error of a failed operation.
    pub error_type: &'a str,
}

/// An error outside every operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorEvent<'a> {
    /// The class of the error, never its message; `error` if empty.
    pub error_type: &'a str,
    /// The component that the error belongs to.
    pub component: &'a str,
}

/// The kind of a [`CustomMetric`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CustomKind {
    /// A counter that only rises; its name gets the suffix `_total`.
    MonotonicCounter,
    /// A sum that rises and falls by the recorded values.
    UpDownCounter,
    /// The last recorded value.
    Gauge,
    /// The distribution of the recorded values.
    Histogram,
}

/// A recording into a metric of the application.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CustomMetric<'a> {
    /// The metric's name, as the application spells it.
    pub name: &'a str,
    /// The metric's kind.
    pub kind: CustomKind,
    /// The recorded value.
    pub value: f64,
    /// The labels.
    pub labels: &'a [(&'a str, &'a str)],
}

/// An alert that the application raises or resolves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertSignal<'a> {
    /// The alert's name, with or without a rule of that name.
    pub rule: &'a str,
    /// True if the alert is resolved.
    pub is_over: bool,
    /// `info`, `warning`, `error` or `critical`; `None` for the severity of the rule of that name, else `warning`.
    pub severity: Option<&'a str>,
    /// The text for a person.
    pub message: &'a str,
    /// The labels that distinguish this alert from others of its name.
    pub labels: &'a [(&'a str, &'a str)],
    /// The sampled trace that the signal belongs to.
    pub trace: Option<TraceReference>,
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
    ErrorEvent => Error,
    CustomMetric => Custom,
    AlertSignal => Alert,
}
