//! Where spans go, and what comes back. The only part of `traces` that does I/O.

mod address;
mod console;
#[cfg(any(feature = "jaeger", feature = "zipkin"))]
mod foreign;
mod http;
#[cfg(feature = "jaeger")]
mod jaeger;
mod mapping;
mod otlp;
pub(super) mod parts;
pub(super) mod patience;
#[cfg(any(feature = "jaeger", feature = "zipkin"))]
mod post;
pub(super) mod retry;
mod tls;
#[cfg(feature = "zipkin")]
mod zipkin;

use std::time::Duration;

use opentelemetry_sdk::{Resource, trace::SpanData};

pub(crate) use self::otlp::{Signal, Transport};
use self::{console::Console, otlp::Otlp, parts::Part};
use super::TracesError;
use crate::traces::{TraceExporter, TracesConfig};

/// Somewhere that spans go.
pub(super) enum Exporter {
    Otlp(Box<Otlp>),
    #[cfg(feature = "jaeger")]
    Thrift(Box<jaeger::Thrift>),
    #[cfg(feature = "zipkin")]
    Zipkin(Box<zipkin::Zipkin>),
    Console(Console),
    /// Of a test: it takes [`TEST_BYTES`] of names, and is told how many spans a part has.
    #[cfg(test)]
    Test(Box<dyn Fn(usize) -> Result<usize, ExportError> + Send + Sync>),
}

/// What a test's exporter takes at once.
#[cfg(test)]
const TEST_BYTES: usize = 8;

/// Why a batch was not exported. It says nothing of the spans, the headers or the answer: either may hold secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExportError {
    /// Nobody is there, or they hung up.
    #[error("cannot reach the receiver: {0}")]
    Unreachable(String),
    /// There was no answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The receiver may take it later.
    #[error("the receiver answered {status}")]
    Later {
        status: String,
        /// When, if it said so.
        after: Option<Duration>,
    },
    /// The receiver does not want it.
    #[error("the receiver answered {0}")]
    Refused(String),
    /// It could not be written.
    #[error("cannot write: {0}")]
    Io(String),
}

impl ExportError {
    /// How long the receiver asks to be left alone, an hour at most.
    pub(crate) fn pause(&self) -> Option<Duration> {
        const LONGEST: Duration = Duration::from_hours(1);
        match self {
            Self::Later { after, .. } => after.map(|after| after.min(LONGEST)),
            Self::Unreachable(_) | Self::Timeout | Self::Refused(_) | Self::Io(_) => None,
        }
    }
}

impl Exporter {
    pub(super) fn new(
        kind: TraceExporter,
        config: &TracesConfig,
        resource: &Resource,
    ) -> Result<Self, TracesError> {
        Ok(match kind {
            TraceExporter::Otlp => Self::Otlp(Box::new(Otlp::new(&config.otlp, resource)?)),
            #[cfg(feature = "jaeger")]
            TraceExporter::Jaeger if config.jaeger.is_thrift() => {
                Self::Thrift(Box::new(jaeger::Thrift::new(&config.jaeger, resource)?))
            }
            TraceExporter::Jaeger => {
                Self::Otlp(Box::new(Otlp::for_jaeger(&config.jaeger, resource)?))
            }
            #[cfg(feature = "zipkin")]
            TraceExporter::Zipkin => {
                Self::Zipkin(Box::new(zipkin::Zipkin::new(&config.zipkin, resource)?))
            }
            // The configuration was checked before.
            #[cfg(not(feature = "zipkin"))]
            TraceExporter::Zipkin => return Err(TracesError::Exporter("zipkin")),
            TraceExporter::Console => Self::Console(Console::new(config.console)),
        })
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Otlp(otlp) => otlp.name(),
            #[cfg(feature = "jaeger")]
            Self::Thrift(_) => TraceExporter::Jaeger.as_str(),
            #[cfg(feature = "zipkin")]
            Self::Zipkin(_) => TraceExporter::Zipkin.as_str(),
            Self::Console(_) => TraceExporter::Console.as_str(),
            #[cfg(test)]
            Self::Test(_) => "test",
        }
    }

    /// Time that a batch may take, with every retry.
    pub(super) fn timeout(&self) -> Duration {
        match self {
            Self::Otlp(otlp) => otlp.timeout(),
            #[cfg(feature = "jaeger")]
            Self::Thrift(thrift) => thrift.timeout(),
            #[cfg(feature = "zipkin")]
            Self::Zipkin(zipkin) => zipkin.timeout(),
            Self::Console(_) => Duration::MAX,
            #[cfg(test)]
            Self::Test(_) => Duration::MAX,
        }
    }

    /// What is sent for these spans, one after the other; made once, however often it is sent.
    fn encode(&self, spans: Vec<SpanData>) -> Vec<Part> {
        match self {
            Self::Otlp(otlp) => otlp.encode(spans),
            #[cfg(feature = "jaeger")]
            Self::Thrift(thrift) => thrift.encode(&spans),
            #[cfg(feature = "zipkin")]
            Self::Zipkin(zipkin) => zipkin.encode(spans),
            Self::Console(console) => vec![Part {
                encoded: console.encode(&spans),
                items: spans.len(),
                is_too_large: false,
            }],
            #[cfg(test)]
            Self::Test(_) => {
                let sizes: Vec<usize> = spans.iter().map(|span| span.name.len()).collect();
                let mut rest = sizes.iter();
                let part = |items| Part {
                    encoded: Encoded {
                        body: vec![0; items].into(),
                    },
                    items,
                    is_too_large: rest.by_ref().take(items).sum::<usize>() > TEST_BYTES,
                };
                let packs = parts::packs(sizes.iter().copied(), TEST_BYTES);
                packs.into_iter().map(part).collect()
            }
        }
    }

    /// Sends it once. `Ok` says how many of the spans the receiver refused.
    async fn send(&self, encoded: &Encoded) -> Result<usize, ExportError> {
        match self {
            Self::Otlp(otlp) => otlp.send(encoded).await,
            #[cfg(feature = "jaeger")]
            Self::Thrift(thrift) => thrift.send(encoded).await,
            #[cfg(feature = "zipkin")]
            Self::Zipkin(zipkin) => zipkin.send(encoded).await,
            Self::Console(_) => console::write(encoded).await,
            #[cfg(test)]
            Self::Test(send) => send(encoded.body.len()),
        }
    }
}

/// A batch as it goes over the wire.
#[derive(Clone)]
pub(crate) struct Encoded {
    pub(super) body: hyper::body::Bytes,
}
