//! Reads the fields of a span or an event into values and labels.
//!
//! The reader accepts a number in any type, also as text. It prints the application's `Debug` and `Display` values into a
//! bounded buffer, holds no lock meanwhile, and catches their panics.

use std::{
    fmt::{self, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
};

use tracing::field::{Field, Visit};

use super::{
    callsite::CallsitePlan,
    fields::Role,
    interpreter::Interpreter,
    values::{UNSET, ValueTarget},
};
use crate::observation::{
    CacheResult, Dropped, Kind, Label, Labels, Outcome, Sink, Text, TokenSource,
};

/// The largest accepted count or size. A subtraction that wrapped around below 0 lies far above.
const MAX_COUNT: u64 = 1 << 40;

/// Reads fields by the roles of a callsite's plan.
///
/// The type parameters carry the facts that are known at compile time, so that no field checks them at run time: the kind
/// of the span (`V`), and whether the reader expects labels (`L`).
pub(super) struct FieldReader<'r, V: ValueTarget, L> {
    plan: &'r CallsitePlan,
    /// The interpreter with its sink. The sink is rarely needed, so the reader computes its address on demand.
    interpreter: &'r Interpreter,
    /// The kind of the span; a few roles depend on the kind.
    kind: V::Kind,
    /// Labels and failure of the span.
    pub(super) labels: L,
    pub(super) values: V,
}

/// The storage that a [`FieldReader`] writes labels to.
pub(super) trait LabelTarget {
    fn set(&mut self, label: Label, value: &str);
    fn set_failure(&mut self, label: Label, value: &str);
    fn set_ended(&mut self);
    fn into_labels(self) -> ReadLabels;
}

/// The labels of a span, and apart from them the labels of its failure.
pub(super) struct ReadLabels {
    pub(super) labels: Labels,
    pub(super) failure: Option<Box<Labels>>,
    /// True if `observatory.ended` was recorded.
    pub(super) has_ended: bool,
}

impl ReadLabels {
    #[inline]
    const fn new() -> Self {
        Self {
            labels: Labels::new(),
            failure: None,
            has_ended: false,
        }
    }

    /// Returns the labels; reports truncated values to the sink.
    #[inline]
    pub(super) fn checked(&mut self, sink: &dyn Sink) -> &mut Labels {
        if self.labels.truncated() > 0 {
            report_truncated(sink, &self.labels);
        }
        &mut self.labels
    }

    /// Returns the labels and the labels of the failure.
    pub(super) fn all(&self) -> impl Iterator<Item = &Labels> {
        std::iter::once(&self.labels).chain(self.failure.as_deref())
    }
}

/// For new spans, which nearly always have labels.
impl LabelTarget for ReadLabels {
    #[inline]
    fn set(&mut self, label: Label, value: &str) {
        self.labels.set(label, value);
    }

    #[cold]
    fn set_failure(&mut self, label: Label, value: &str) {
        self.failure.get_or_insert_default().set(label, value);
    }

    fn set_ended(&mut self) {
        self.has_ended = true;
    }

    fn into_labels(self) -> ReadLabels {
        self
    }
}

/// For later records, which rarely have labels.
impl LabelTarget for Option<ReadLabels> {
    #[inline(never)]
    fn set(&mut self, label: Label, value: &str) {
        self.get_or_insert_with(ReadLabels::new).set(label, value);
    }

    #[cold]
    fn set_failure(&mut self, label: Label, value: &str) {
        self.get_or_insert_with(ReadLabels::new)
            .set_failure(label, value);
    }

    #[inline(never)]
    fn set_ended(&mut self) {
        self.get_or_insert_with(ReadLabels::new).has_ended = true;
    }

    fn into_labels(self) -> ReadLabels {
        self.unwrap_or(ReadLabels::new())
    }
}

impl<'r, V: ValueTarget> FieldReader<'r, V, ReadLabels> {
    /// Returns a reader for the fields of a new span or an event.
    #[inline]
    pub(super) fn new(
        plan: &'r CallsitePlan,
        interpreter: &'r Interpreter,
        kind: V::Kind,
        values: V,
    ) -> Self {
        Self {
            plan,
            interpreter,
            kind,
            labels: ReadLabels::new(),
            values,
        }
    }
}

impl<'r, V: ValueTarget> FieldReader<'r, V, Option<ReadLabels>> {
    /// Returns a reader for the fields of a later record.
    #[inline]
    pub(super) fn late(
        plan: &'r CallsitePlan,
        interpreter: &'r Interpreter,
        kind: V::Kind,
        values: V,
    ) -> Self {
        Self {
            plan,
            interpreter,
            kind,
            labels: None,
            values,
        }
    }
}

impl<V: ValueTarget, L: LabelTarget> FieldReader<'_, V, L> {
    /// Returns all labels, the labels of a failure included, and the values.
    pub(super) fn into_parts(self) -> (Labels, V) {
        let mut read = self.labels.into_labels();
        read.checked(&*self.interpreter.sink);
        if let Some(failure) = read.failure {
            read.labels.extend(&failure);
        }
        (read.labels, self.values)
    }

    #[inline]
    fn role(&self, field: &Field) -> Role {
        self.plan.role(field.index())
    }

    #[cold]
    fn set_failure(&mut self, label: Label, value: &str) {
        self.labels.set_failure(label, value);
        // The labels of the failure hold a cancellation until the close.
        let is_cancelled = value == Outcome::Cancelled.as_str();
        if label == Label::ErrorType && !value.is_empty() && !is_cancelled {
            self.values.failed_with(value == "timeout");
        }
    }

    #[inline]
    fn status(&mut self, status: &str) {
        match self.kind.into() {
            Kind::Cache | Kind::HttpRequest => self.status_or_result(status),
            // The common case.
            _ if status == "success" => self.values.outcome(Outcome::Success),
            _ => self.outcome(status),
        }
    }

    #[inline(never)]
    fn status_or_result(&mut self, status: &str) {
        if self.kind.into() == Kind::Cache
            && let Some(result) = CacheResult::ALL
                .into_iter()
                .find(|result| result.as_str().eq_ignore_ascii_case(status))
        {
            return self.values.cache(result);
        }
        if self.kind.into() == Kind::HttpRequest
            && let Some(code) = status_code(status)
        {
            return self.values.status_code(code);
        }
        self.outcome(status);
    }

    #[inline(never)]
    fn outcome(&mut self, status: &str) {
        let outcome = Outcome::parse(status);
        self.values.outcome(outcome);
        if outcome == Outcome::Other {
            self.interpreter
                .sink
                .dropped(Dropped::UnknownStatus, status);
        }
    }

    fn number(&mut self, field: &Field, value: u64) {
        let role = self.plan.role(field.index());
        if value > MAX_COUNT && role.is_count() {
            return self
                .interpreter
                .sink
                .dropped(Dropped::OutOfRange, field.name());
        }
        let values = &mut self.values;
        match role {
            Role::OutputTokens => values.output_tokens(value),
            Role::InputTokens => values.input_tokens(value),
            Role::TokenDetail(detail) => values.token_detail(detail, value),
            Role::QueueSeconds => values.queue_seconds(value as f64),
            Role::StatusCode => values.status_code(u16::try_from(value).unwrap_or(0)),
            Role::RequestSize => values.request_size(value),
            Role::ResponseSize => values.response_size(value),
            Role::MessagesReceived => values.messages_received(value),
            Role::MessagesSent => values.messages_sent(value),
            Role::SpanId => values.span_id(value),
            Role::Amount => values.amount(value as f64),
            Role::Status if self.kind.into() == Kind::HttpRequest => {
                values.status_code(u16::try_from(value).unwrap_or(0));
            }
            Role::Status => self.status(itoa::Buffer::new().format(value)),
            Role::Label(label) => self.labels.set(label, itoa::Buffer::new().format(value)),
            Role::Failure(label) => self.set_failure(label, itoa::Buffer::new().format(value)),
            Role::Error => values.failed(),
            Role::None
            | Role::Content
            | Role::TokenSource
            | Role::Streaming
            | Role::Hit
            | Role::Ended
            | Role::TraceId
            | Role::Kind
            | Role::SpanKind
            | Role::Message
            | Role::Alert(_)
            | Role::Metric(_) => {}
        }
    }

    #[inline(never)]
    fn text(&mut self, field: &Field, value: &str) {
        match self.role(field) {
            Role::Label(label) => self.labels.set(label, value),
            Role::Failure(label) => self.set_failure(label, value),
            Role::Status => self.status(value),
            Role::Error if value.is_empty() => {}
            Role::Error => self.values.failed(),
            Role::TokenSource => {
                let source = TokenSource::ALL
                    .into_iter()
                    .find(|source| source.as_str() == value);
                if let Some(source) = source {
                    self.values.source(source);
                }
            }
            Role::Streaming => self.values.streaming(value == "true"),
            Role::Hit => self.values.cache(cache_result(value == "true")),
            Role::TraceId => {
                if let Ok(id) = u128::from_str_radix(value, 16) {
                    self.values.trace_id(id);
                }
            }
            Role::SpanId => self
                .values
                .span_id(u64::from_str_radix(value, 16).unwrap_or(UNSET)),
            Role::SpanKind => self.values.client(value.eq_ignore_ascii_case("client")),
            Role::StatusCode => match status_code(value) {
                Some(code) => self.values.status_code(code),
                None => self
                    .interpreter
                    .sink
                    .dropped(Dropped::NotNumeric, field.name()),
            },
            Role::None
            | Role::Content
            | Role::Ended
            | Role::Kind
            | Role::Message
            | Role::Alert(_)
            | Role::Metric(_) => {}
            Role::OutputTokens
            | Role::InputTokens
            | Role::TokenDetail(_)
            | Role::QueueSeconds
            | Role::RequestSize
            | Role::ResponseSize
            | Role::MessagesReceived
            | Role::MessagesSent
            | Role::Amount => match value.parse() {
                Ok(number) => self.number(field, number),
                Err(_) => match value.parse() {
                    Ok(number) => self.record_f64(field, number),
                    Err(_) => self
                        .interpreter
                        .sink
                        .dropped(Dropped::NotNumeric, field.name()),
                },
            },
        }
    }
}

/// Parses `200`, and `200 OK`, the `Display` output of `http::StatusCode`.
fn status_code(text: &str) -> Option<u16> {
    text.split(' ').next()?.parse().ok()
}

#[cold]
fn report_truncated(sink: &dyn Sink, labels: &Labels) {
    for _ in 0..labels.truncated() {
        sink.dropped(Dropped::Truncated, labels.truncated_name());
    }
}

const fn cache_result(is_hit: bool) -> CacheResult {
    if is_hit {
        CacheResult::Hit
    } else {
        CacheResult::Miss
    }
}

impl<V: ValueTarget, L: LabelTarget> Visit for FieldReader<'_, V, L> {
    #[inline]
    fn record_str(&mut self, field: &Field, value: &str) {
        match self.role(field) {
            Role::None => {}
            Role::Label(label) => self.labels.set(label, value),
            Role::Status => self.status(value),
            _ => self.text(field, value),
        }
    }

    #[inline]
    fn record_u64(&mut self, field: &Field, value: u64) {
        match self.role(field) {
            Role::OutputTokens if value <= MAX_COUNT => self.values.output_tokens(value),
            Role::InputTokens if value <= MAX_COUNT => self.values.input_tokens(value),
            _ => self.number(field, value),
        }
    }

    #[inline]
    fn record_i64(&mut self, field: &Field, value: i64) {
        match u64::try_from(value) {
            Ok(value) => self.number(field, value),
            Err(_) => match self.role(field) {
                Role::None | Role::Message | Role::Alert(_) => {}
                Role::Label(label) => self.labels.set(label, itoa::Buffer::new().format(value)),
                _ => self
                    .interpreter
                    .sink
                    .dropped(Dropped::Negative, field.name()),
            },
        }
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        if self.role(field) == Role::TraceId {
            return self.values.trace_id(value);
        }
        self.number(field, u64::try_from(value).unwrap_or(UNSET - 1));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        match self.role(field) {
            Role::None | Role::Message | Role::Alert(_) => {}
            _ if !value.is_finite() => self
                .interpreter
                .sink
                .dropped(Dropped::NotANumber, field.name()),
            // The sink checks the range of a score.
            Role::Amount => self.values.amount(value),
            Role::Label(label) => {
                let mut text = Text::new();
                print(&mut text, &format_args!("{value}"));
                self.labels.set(label, text.as_str());
            }
            _ if value < 0.0 => self
                .interpreter
                .sink
                .dropped(Dropped::Negative, field.name()),
            Role::QueueSeconds => self.values.queue_seconds(value),
            _ => self.number(field, value.round() as u64),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        match self.role(field) {
            Role::Streaming => self.values.streaming(value),
            Role::Hit => self.values.cache(cache_result(value)),
            Role::Error if value => self.values.failed(),
            Role::Ended if value => self.labels.set_ended(),
            Role::Label(label) => self.labels.set(label, if value { "true" } else { "false" }),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match self.role(field) {
            Role::None | Role::Message | Role::Alert(_) => {}
            // The text of an error is not used, so it is not printed.
            Role::Error => self.values.failed(),
            _ => {
                let mut text = Text::new();
                if !print(&mut text, value) {
                    self.interpreter
                        .sink
                        .dropped(Dropped::PanickingField, field.name());
                }
                // `?"text"` prints quotes.
                let text = text.as_str();
                let bare = text
                    .strip_prefix('"')
                    .and_then(|text| text.strip_suffix('"'))
                    .unwrap_or(text);
                self.text(field, bare);
            }
        }
    }
}

/// Prints a value of the application. Returns `false` if the value panicked; the text printed before stays.
pub(super) fn print(out: &mut dyn fmt::Write, value: &dyn fmt::Debug) -> bool {
    // `fmt::Error` comes from the value or from a full buffer; in both cases the printed text stays.
    catch_unwind(AssertUnwindSafe(|| write!(out, "{value:?}").is_ok())).is_ok()
}

/// Reads the value of `observatory.kind`.
pub(super) struct KindReader<'r> {
    pub(super) plan: &'r CallsitePlan,
    pub(super) name: Text,
}

impl Visit for KindReader<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.plan.role(field.index()) == Role::Kind {
            print(&mut self.name, value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if self.plan.role(field.index()) == Role::Kind {
            // `write_str` of `Text` always returns `Ok`.
            let _ = self.name.write_str(value);
        }
    }
}
