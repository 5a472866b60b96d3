//! Log lines that say no more than may leave the process, and name the trace they belong to where there is one.
//!
//! ```text
//! span made, recorded on ─► copied ┐
//!                           event ─┴► judged, once ─► a line, pretty or JSON
//! ```
//!
//! It does not depend on traces: where they are on, they say which ids a line names ([`Ids`]).

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
use self::{fields::Fields, layer::LogLayer, line::Line};
use crate::privacy::Redaction;

/// Who knows the ids that a line names.
pub(crate) trait Ids: Clone + Send + Sync + 'static {
    /// Of a span, by its id alone: a filter of the log may hide the span itself.
    fn known(&self, span: &Id) -> Option<SpanIds>;

    /// Of a span, given a name if it has none yet.
    fn of<'l, R: LookupSpan<'l>>(&self, span: &SpanRef<'l, R>) -> Option<SpanIds>;
}

/// The ids of a trace and a span in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpanIds {
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
    pub(crate) is_sampled: bool,
}

/// Where there are no traces, there are no ids.
#[derive(Clone, Debug)]
pub(crate) struct Untraced;

impl Ids for Untraced {
    fn known(&self, _: &Id) -> Option<SpanIds> {
        None
    }

    fn of<'l, R: LookupSpan<'l>>(&self, _: &SpanRef<'l, R>) -> Option<SpanIds> {
        None
    }
}

/// A layer that writes log lines to standard error.
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
