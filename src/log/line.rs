//! Formats an event as a pretty line.

use std::{fmt, sync::Arc, time::SystemTime};

use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Writer},
    },
    registry::LookupSpan,
};

use super::LogFormat;
use super::{Ids, SpanIds, json, layer};
use crate::privacy::Redaction;

/// Formats events as pretty lines or JSON.
pub(super) struct Line<I> {
    pub(super) redaction: Arc<Redaction>,
    pub(super) ids: I,
    pub(super) format: LogFormat,
    pub(super) text: Format,
}

impl<S, N, I> FormatEvent<S, N> for Line<I>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    N: for<'w> FormatFields<'w> + 'static,
    I: Ids,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let ids = layer::ids_of_line().or_else(|| self.ids.of(&context.parent_span()?));
        match self.format {
            LogFormat::Json => {
                let spans = context.event_scope().into_iter().flatten();
                let about = json::LineContext {
                    ids,
                    now: SystemTime::now(),
                };
                let line = json::line(event, spans, &about, &self.redaction);
                writeln!(out, "{line}")
            }
            LogFormat::Pretty => {
                let mut line = String::new();
                self.text
                    .format_event(context, Writer::new(&mut line), event)?;
                write!(out, "{}", line.trim_end_matches('\n'))?;
                if let Some(SpanIds {
                    trace_id, span_id, ..
                }) = ids
                {
                    write!(out, " trace_id={trace_id:032x} span_id={span_id:016x}")?;
                }
                writeln!(out)
            }
        }
    }
}
