//! Defines the public view of traces and spans, as plain data and as JSON.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::SpanKind;
use serde::{Serialize, Serializer};

use super::{packed::PackedSpan, store::StoredTrace};
use crate::runtime::unix_ms::UnixMs;

/// A summary of a trace. In JSON, ids are hexadecimal, times are milliseconds since the epoch, and durations are seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TraceSummary {
    /// The trace id.
    #[serde(serialize_with = "hexadecimal_32")]
    pub trace_id: u128,
    /// The name of the local root span; while that span is open, its name in the code.
    pub name: String,
    /// The start time.
    #[serde(rename = "startedAt", serialize_with = "milliseconds")]
    pub start: SystemTime,
    /// The duration of the local root span, or its age while it is open.
    #[serde(rename = "durationSeconds", serialize_with = "seconds")]
    pub duration: Duration,
    /// The number of spans that have ended.
    pub spans: usize,
    /// The number of ended spans that failed.
    pub failed: usize,
    /// The number of ended spans that were left out to bound memory.
    pub left_out: usize,
    /// True if the local root span has ended.
    pub is_complete: bool,
    /// The model of the first inference of the trace.
    pub model: Option<String>,
    /// The output tokens of all inferences of the trace; `None` without an inference that reports tokens.
    pub output_tokens: Option<u64>,
    /// The route of the first HTTP request that the trace serves.
    pub route: Option<String>,
    /// The status code of the answer to that request.
    pub status_code: Option<u16>,
}

/// A span that has ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SpanRecord {
    /// The span id.
    #[serde(serialize_with = "hexadecimal_16")]
    pub span_id: u64,
    /// The id of the parent, of this process or remote.
    #[serde(serialize_with = "maybe_hexadecimal")]
    pub parent_id: Option<u64>,
    /// True if the parent is in another process.
    pub parent_is_remote: bool,
    /// The name of the span.
    pub name: String,
    /// `client`, `server`, `producer`, `consumer` or `internal`.
    pub kind: &'static str,
    /// The start time; in JSON with a fraction of the millisecond.
    #[serde(rename = "startedAt", serialize_with = "milliseconds_and_fraction")]
    pub start: SystemTime,
    /// The duration.
    #[serde(rename = "durationSeconds", serialize_with = "seconds")]
    pub duration: Duration,
    /// The description of the failure, if the span failed.
    pub error: Option<String>,
    /// The redacted attributes.
    pub attributes: Vec<(String, String)>,
    /// The number of attributes beyond the limit, which are lost.
    pub attributes_left_out: u32,
    /// The events.
    pub events: Vec<EventRecord>,
    /// The number of events beyond the limit, which are lost.
    pub events_left_out: u32,
}

/// An event of a span.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct EventRecord {
    /// The name or the message.
    pub name: String,
    /// The time since the start of the span.
    #[serde(rename = "afterSeconds", serialize_with = "seconds")]
    pub after: Duration,
    /// The redacted attributes.
    pub attributes: Vec<(String, String)>,
}

/// A span that is open.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct OpenSpan {
    /// Its name in the code.
    pub name: &'static str,
    /// The target of the span in the code.
    pub target: &'static str,
    /// The trace id; `None` until the first enter of the span.
    #[serde(serialize_with = "maybe_hexadecimal_32")]
    pub trace_id: Option<u128>,
    /// The span id; `None` until the first enter of the span.
    #[serde(serialize_with = "maybe_hexadecimal")]
    pub span_id: Option<u64>,
    /// The id of the parent span, if that is open, too.
    #[serde(serialize_with = "maybe_hexadecimal")]
    pub parent_id: Option<u64>,
    /// The time since the start of the span.
    #[serde(rename = "ageSeconds", serialize_with = "seconds")]
    pub age: Duration,
}

impl TraceSummary {
    pub(super) fn of(trace: &StoredTrace) -> Self {
        let first = trace.spans.iter().min_by_key(|span| span.start);
        let shown = trace.root.as_ref().or(first);
        Self {
            trace_id: trace.trace_id,
            name: shown.map_or_else(String::new, |span| span.reader().text()),
            start: shown.map_or(SystemTime::UNIX_EPOCH, |span| span.start),
            duration: trace.duration(),
            spans: trace.spans.len() + trace.left_out,
            failed: trace.failed,
            left_out: trace.left_out,
            is_complete: trace.root.is_some(),
            model: first_of(trace, &["gen_ai.request.model", "model_id"]),
            output_tokens: output_tokens(trace),
            route: first_of(trace, &["http.route", "route"]),
            status_code: first_of(trace, &["http.response.status_code", "status_code"])
                .and_then(|code| code.parse().ok()),
        }
    }
}

/// Returns the value of an attribute in the earliest span that has one of these keys.
fn first_of(trace: &StoredTrace, keys: &[&str]) -> Option<String> {
    let found = trace.spans.iter().filter_map(|span| {
        let value = span.attribute(keys)?;
        Some((span.start, value))
    });
    let (_, value) = found.min_by_key(|(start, _)| *start)?;
    Some(value)
}

fn output_tokens(trace: &StoredTrace) -> Option<u64> {
    let found = trace.spans.iter().filter_map(|span| {
        let tokens = span.attribute(&["gen_ai.usage.output_tokens"])?;
        tokens.parse::<u64>().ok()
    });
    found.reduce(u64::saturating_add)
}

impl SpanRecord {
    pub(super) fn of(span: &PackedSpan) -> Self {
        let mut reader = span.reader();
        let name = reader.text();
        let error = reader.text();
        let attributes = reader.attributes();
        let events = (0..reader.count()).map(|_| EventRecord {
            name: reader.text(),
            after: reader.duration(),
            attributes: reader.attributes(),
        });
        Self {
            events: events.collect(),
            span_id: span.span_id,
            parent_id: span.parent_id,
            parent_is_remote: span.parent_is_remote,
            name,
            kind: match span.kind {
                SpanKind::Client => "client",
                SpanKind::Server => "server",
                SpanKind::Producer => "producer",
                SpanKind::Consumer => "consumer",
                SpanKind::Internal => "internal",
            },
            start: span.start,
            duration: span.end.duration_since(span.start).unwrap_or_default(),
            error: span.is_failed.then_some(error),
            attributes,
            attributes_left_out: span.attributes_left_out,
            events_left_out: span.events_left_out,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "required by serde")]
fn hexadecimal_16<S: Serializer>(id: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{id:016x}"))
}

fn hexadecimal_32<S: Serializer>(id: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{id:032x}"))
}

#[expect(clippy::ref_option, reason = "required by serde")]
fn maybe_hexadecimal<S: Serializer>(id: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => hexadecimal_16(id, serializer),
        None => serializer.serialize_none(),
    }
}

#[expect(clippy::ref_option, reason = "required by serde")]
fn maybe_hexadecimal_32<S: Serializer>(
    id: &Option<u128>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => hexadecimal_32(id, serializer),
        None => serializer.serialize_none(),
    }
}

fn milliseconds<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    UnixMs::from(*time).serialize(serializer)
}

/// A double resolves quarters of a microsecond at the current time.
fn milliseconds_and_fraction<S: Serializer>(
    time: &SystemTime,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    serializer.serialize_f64(since.unwrap_or_default().as_nanos() as f64 / 1e6)
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}
