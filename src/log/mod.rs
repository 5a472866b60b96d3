//! Writes log lines whose text is redacted and which name the current trace.
//!
//! ```text
//! span fields ─► stored ─┐
//!                 event ─┴─► redacted once ─► a line, pretty or JSON
//! ```
//!
//! This area does not depend on traces. If traces are on, they supply the ids of a line through [`Ids`].

mod fields;
mod json;
mod layer;
mod line;
mod options;
mod spans;

use std::{io, sync::Arc};

use tracing::{Subscriber, span::Id};
use tracing_subscriber::{
    Layer,
    fmt::{MakeWriter, format::Format},
    registry::{LookupSpan, SpanRef},
};

#[cfg(feature = "otlp")]
pub(crate) use self::fields::{printable, printed, try_printed};
pub use self::options::LogFormat;
#[cfg(feature = "health")]
pub(crate) use self::spans::fields_of;
use self::{fields::Fields, layer::LogLayer, line::Line};
use crate::privacy::Redaction;

/// Supplies the trace ids of log lines.
pub(crate) trait Ids: Clone + Send + Sync + 'static {
    /// Returns the ids of a span by its id alone, since a filter of the log may hide the span.
    fn known(&self, span: &Id) -> Option<SpanIds>;

    /// Returns the ids of a span; assigns ids if the span has none yet.
    fn of<'l, R: LookupSpan<'l>>(&self, span: &SpanRef<'l, R>) -> Option<SpanIds>;
}

/// The ids of a trace and of a span in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpanIds {
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
    pub(crate) is_sampled: bool,
}

/// Supplies no ids, for a log without traces.
#[derive(Clone, Debug)]
pub(crate) struct NoIds;

impl Ids for NoIds {
    fn known(&self, _: &Id) -> Option<SpanIds> {
        None
    }

    fn of<'l, R: LookupSpan<'l>>(&self, _: &SpanRef<'l, R>) -> Option<SpanIds> {
        None
    }
}

/// Returns a layer that writes log lines to standard error.
pub(crate) fn layer<S, I>(
    redaction: &Arc<Redaction>,
    ids: I,
    format: LogFormat,
    is_ansi: bool,
) -> impl Layer<S> + use<S, I>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    I: Ids,
{
    layer_to(io::stderr, redaction, ids, (format, is_ansi))
}

pub(crate) fn layer_to<S, I, W>(
    writer: W,
    redaction: &Arc<Redaction>,
    ids: I,
    (format, is_ansi): (LogFormat, bool),
) -> impl Layer<S> + use<S, I, W>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    I: Ids,
    W: for<'w> MakeWriter<'w> + 'static,
{
    redaction.prepare();
    let is_ansi = is_ansi && format == LogFormat::Pretty;
    let line = Line {
        redaction: Arc::clone(redaction),
        ids: ids.clone(),
        format,
        text: Format::default().with_ansi(is_ansi),
    };
    LogLayer {
        inner: tracing_subscriber::fmt::layer()
            .event_format(line)
            .fmt_fields(Fields::new(Arc::clone(redaction)))
            .with_writer(writer)
            .with_ansi(is_ansi),
        redaction: Arc::clone(redaction),
        ids,
        format,
    }
}

#[cfg(test)]
pub(crate) mod tests;
