//! Defines the trait of exporters, and the errors of their requests.

use std::{pin::Pin, time::Duration};

use hyper::body::Bytes;
use opentelemetry_sdk::{Resource, trace::SpanData};

use super::split_batch::Part;
use crate::traces::{TraceExporter, TracesConfig, TracesError};

/// The longest wait that a receiver can ask for.
const MAX_PAUSE: Duration = Duration::from_hours(1);

/// Encodes spans for one receiver and sends them.
///
/// The exporting thread calls an exporter with one batch at a time. The pipeline does the rest: queues, retries,
/// deadlines, counts and log lines.
pub(in crate::traces) trait Export: Send + Sync {
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
pub(in crate::traces) type Sending<'a> =
    Pin<Box<dyn Future<Output = Result<usize, ExportError>> + Send + 'a>>;

/// Builds an exporter from the configuration.
pub(super) type Build = fn(&TracesConfig, &Resource) -> Result<Box<dyn Export>, TracesError>;

/// An exporter with its name.
pub(in crate::traces) struct Exporter {
    /// The name in `OTEL_TRACES_EXPORTER`, and the label in `observatory_spans_total`.
    pub(in crate::traces) name: &'static str,
    pub(in crate::traces) export: Box<dyn Export>,
}

/// An encoded request.
#[derive(Clone)]
pub(crate) struct Encoded {
    pub(in crate::traces) body: Bytes,
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
    pub(in crate::traces) fn new(
        kind: TraceExporter,
        config: &TracesConfig,
        resource: &Resource,
    ) -> Result<Self, TracesError> {
        let name = kind.as_str();
        // The validation of the configuration rejects an exporter whose feature is missing.
        let build = kind.spec().build.ok_or(TracesError::Exporter(name))?;
        Ok(Self {
            name,
            export: build(config, resource)?,
        })
    }
}
