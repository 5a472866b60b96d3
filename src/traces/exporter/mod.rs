//! Sends spans, log records and metrics to their receivers. The only part of `traces` that does I/O.
//!
//! An exporter implements [`Export`] in a folder of its own and has a row in [`builder`].

mod console;
pub(super) mod deadline;
#[cfg(any(feature = "jaeger", feature = "zipkin"))]
mod encode_only_client;
mod endpoint_client;
mod jaeger;
mod mapping;
mod otlp;
pub(super) mod retry;
pub(super) mod split_batch;
#[cfg(feature = "zipkin")]
mod zipkin;

use std::{pin::Pin, time::Duration};

use hyper::body::Bytes;
use opentelemetry_sdk::{Resource, trace::SpanData};

pub(crate) use self::otlp::Transport;
use self::split_batch::Part;
use super::TracesError;
use crate::traces::{TraceExporter, TracesConfig};

/// The longest wait that a receiver can ask for.
const MAX_PAUSE: Duration = Duration::from_hours(1);

/// Encodes spans for one receiver and sends them.
///
/// The exporting thread calls an exporter with one batch at a time. The pipeline does the rest: queues, retries,
/// deadlines, counts and log lines.
pub(super) trait Export: Send + Sync {
    /// The address of the receiver without credentials, for logs and the status page.
    fn address(&self) -> String;

    /// Time for a batch with every retry; 0 is no limit.
    fn timeout(&self) -> Duration {
        Duration::ZERO
    }

    /// Encodes spans as one request, or as several if the receiver limits the size of a request.
    fn encode(&self, spans: Vec<SpanData>) -> Vec<Part>;

    /// Sends a request once, and returns the number of spans that the receiver rejected.
    fn send<'a>(&'a self, request: &'a Encoded) -> Sending<'a>;
}

/// The future of [`Export::send`].
pub(super) type Sending<'a> = Pin<Box<dyn Future<Output = Result<usize, ExportError>> + Send + 'a>>;

/// Builds an exporter from the configuration.
type Build = fn(&TracesConfig, &Resource) -> Result<Box<dyn Export>, TracesError>;

/// An exporter with its name.
pub(super) struct Exporter {
    /// The name in `OTEL_TRACES_EXPORTER`, and the label in `observatory_spans_total`.
    pub(super) name: &'static str,
    pub(super) export: Box<dyn Export>,
}

/// An encoded request.
#[derive(Clone)]
pub(crate) struct Encoded {
    pub(super) body: Bytes,
}

/// A request failed. The text contains no span, header or response body: each may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExportError {
    /// The receiver cannot be reached, or the connection broke.
    #[error("cannot reach the receiver: {0}")]
    Unreachable(String),
    /// The deadline of the batch passed.
    #[error("no answer in time")]
    Timeout,
    /// The receiver may accept the request later.
    #[error("the receiver answered {status}")]
    Retryable {
        status: String,
        /// The wait that the receiver asks for.
        after: Option<Duration>,
    },
    /// The receiver rejected the request for good.
    #[error("the receiver answered {0}")]
    Rejected(String),
    /// The request could not be encoded or written.
    #[error("cannot write: {0}")]
    Io(String),
}

impl ExportError {
    /// The wait that the receiver asks for, at most an hour.
    pub(crate) fn pause(&self) -> Option<Duration> {
        match self {
            Self::Retryable { after, .. } => after.map(|after| after.min(MAX_PAUSE)),
            Self::Unreachable(_) | Self::Timeout | Self::Rejected(_) | Self::Io(_) => None,
        }
    }
}

impl Exporter {
    /// Builds an exporter from its section of the configuration.
    pub(super) fn new(
        kind: TraceExporter,
        config: &TracesConfig,
        resource: &Resource,
    ) -> Result<Self, TracesError> {
        let name = kind.as_str();
        // The validation of the configuration rejects an exporter whose feature is missing.
        let build = builder(kind).ok_or(TracesError::Exporter(name))?;
        Ok(Self {
            name,
            export: build(config, resource)?,
        })
    }
}

/// The function that builds an exporter; `None` without the exporter's feature.
fn builder(kind: TraceExporter) -> Option<Build> {
    match kind {
        TraceExporter::Otlp => Some(otlp::build),
        TraceExporter::Jaeger => Some(jaeger::build),
        #[cfg(feature = "zipkin")]
        TraceExporter::Zipkin => Some(zipkin::build),
        #[cfg(not(feature = "zipkin"))]
        TraceExporter::Zipkin => None,
        TraceExporter::Console => Some(console::build),
    }
}
