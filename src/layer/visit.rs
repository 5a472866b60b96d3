//! Reads the fields of a span or an event into values and labels on the stack.
//!
//! Numbers are taken in any type, also as text; foreign `Debug` and `Display` impls print into a bounded buffer,
//! with nothing held that they could come back to, and a panic of theirs ends there.

use std::{
    fmt::{self, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use tracing::field::{Field, Visit};

use super::{
    callsite::Plan,
    fields::Role,
    kind::Kind,
    values::{Target, UNSET},
};
use crate::observation::{CacheResult, Dropped, Label, Labels, Outcome, Sink, Text, TokenSource};

/// The largest count or size that is believed; a subtraction that went below 0 is far above.
const MOST: u64 = 1 << 40;

/// Reads fields by the roles that a plan gives them.
pub(super) struct Reader<'r, T> {
    plan: &'r Plan,
    /// Hardly ever needed, so not even its address is computed until it is.
    sink: &'r Arc<dyn Sink>,
    /// Some fields mean different things to different kinds.
    kind: Kind,
    /// `None` until there is a label: what is recorded late is mostly numbers.
    labels: Option<Labels>,
    /// Class and component of a failure, which are no part of who was called.
    pub(super) failure: Option<Box<Labels>>,
    pub(super) values: T,
}

impl<'r, T: Target> Reader<'r, T> {
    /// A reader of what is likely to have labels.
    #[inline]
    pub(super) fn new(plan: &'r Plan, sink: &'r Arc<dyn Sink>, kind: Kind, values: T) -> Self {
        Self {
            plan,
            sink,
            kind,
            labels: Some(Labels::new()),
            failure: None,
            values,
        }
    }

    /// A reader of what is likely to have none.
    #[inline]
    pub(super) fn late(plan: &'r Plan, sink: &'r Arc<dyn Sink>, kind: Kind, values: T) -> Self {
        Self {
            plan,
            sink,
            kind,
            labels: None,
            failure: None,
            values,
        }
    }

    /// Whether everything it read is where it belongs: it has neither labels nor a failure.
    #[inline]
    pub(super) fn is_done(&self) -> bool {
        self.labels.is_none() && self.failure.is_none()
    }

    /// The labels, if there are any; reports what was cut of them.
    #[inline]
    pub(super) fn labels(&mut self) -> Option<&mut Labels> {
        let labels = self.labels.as_mut()?;
        if labels.truncated() > 0 {
            report_truncated(&**self.sink, labels.truncated());
        }
        Some(labels)
    }

    /// The labels that were read, and those of a failure.
    pub(super) fn recorded(&self) -> impl Iterator<Item = &Labels> {
        self.labels.iter().chain(self.failure.as_deref())
    }

    /// All labels, none where none was read, and values.
    pub(super) fn into_parts(mut self) -> (Labels, T) {
        self.labels();
        let mut labels = self.labels.unwrap_or_default();
        if let Some(failure) = self.failure {
            labels.extend(&failure);
        }
        (labels, self.values)
    }

    #[inline]
    fn set(&mut self, label: Label, value: &str) {
        match &mut self.labels {
            Some(labels) => labels.set(label, value),
            None => self.set_first(label, value),
        }
    }

    #[cold]
    #[inline(never)]
    fn set_first(&mut self, label: Label, value: &str) {
        self.labels.insert(Labels::new()).set(label, value);
    }

    #[inline]
    fn role(&self, field: &Field) -> Role {
        self.plan.role(field.index())
    }

    #[cold]
    fn set_failure(&mut self, label: Label, value: &str) {
        self.failure.get_or_insert_default().set(label, value);
        if label == Label::ErrorType && !value.is_empty() {
            self.values.failed_with(value == "timeout");
        }
    }

    #[inline]
    fn status(&mut self, status: &str) {
        match self.kind {
            Kind::Cache | Kind::HttpRequest => self.status_or_result(status),
            // Nearly all are this one.
            _ if status == "success" => self.values.outcome(Outcome::Success),
            _ => self.outcome(status),
        }
    }

    #[inline(never)]
    fn status_or_result(&mut self, status: &str) {
        if self.kind == Kind::Cache
            && let Some(result) = CacheResult::ALL
                .into_iter()
                .find(|result| result.as_str().eq_ignore_ascii_case(status))
        {
            return self.values.cache(result);
        }
        if self.kind == Kind::HttpRequest
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
            self.sink.dropped(Dropped::UnknownStatus, status);
        }
    }

    fn number(&mut self, field: &Field, value: u64) {
        let role = self.plan.role(field.index());
        if value > MOST && role.is_count() {
            return self.sink.dropped(Dropped::OutOfRange, field.name());
        }
        let values = &mut self.values;
        match role {
            Role::OutputTokens => values.output_tokens(value),
            Role::InputTokens => values.input_tokens(value),
            Role::CachedTokens => values.cached_tokens(value),
            Role::QueueSeconds => values.queue_seconds(value as f64),
            Role::StatusCode => values.status_code(u16::try_from(value).unwrap_or(0)),
            Role::RequestSize => values.request_size(value),
            Role::ResponseSize => values.response_size(value),
            Role::MessagesReceived => values.messages_received(value),
            Role::MessagesSent => values.messages_sent(value),
            Role::SpanId => values.span_id(value),
            Role::Amount => values.amount(value as f64),
            Role::Status if self.kind == Kind::HttpRequest => {
                values.status_code(u16::try_from(value).unwrap_or(0));
            }
            Role::Status => self.status(itoa::Buffer::new().format(value)),
            Role::Label(label) => self.set(label, itoa::Buffer::new().format(value)),
            Role::Failure(label) => self.set_failure(label, itoa::Buffer::new().format(value)),
            Role::Error => values.failed(),
            Role::None
            | Role::TokenSource
            | Role::Streaming
            | Role::Hit
            | Role::TraceId
            | Role::Kind
            | Role::SpanKind
            | Role::Message
            | Role::Metric(_) => {}
        }
    }

    #[inline(never)]
    fn text(&mut self, field: &Field, value: &str) {
        match self.role(field) {
            Role::Label(label) => self.set(label, value),
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
                None => self.sink.dropped(Dropped::NotNumeric, field.name()),
            },
            Role::None | Role::Kind | Role::Message | Role::Metric(_) => {}
            Role::OutputTokens
            | Role::InputTokens
            | Role::CachedTokens
            | Role::QueueSeconds
            | Role::RequestSize
            | Role::ResponseSize
            | Role::MessagesReceived
            | Role::MessagesSent
            | Role::Amount => match value.parse() {
                Ok(number) => self.number(field, number),
                Err(_) => match value.parse() {
                    Ok(number) => self.record_f64(field, number),
                    Err(_) => self.sink.dropped(Dropped::NotNumeric, field.name()),
                },
            },
        }
    }
}

/// The code of `200` and of `200 OK`, which is how `http::StatusCode` displays.
fn status_code(text: &str) -> Option<u16> {
    text.split(' ').next()?.parse().ok()
}

#[cold]
fn report_truncated(sink: &dyn Sink, labels: u8) {
    for _ in 0..labels {
        sink.dropped(Dropped::Truncated, "a label value");
    }
}

const fn cache_result(is_hit: bool) -> CacheResult {
    if is_hit {
        CacheResult::Hit
    } else {
        CacheResult::Miss
    }
}

impl<T: Target> Visit for Reader<'_, T> {
    #[inline]
    fn record_str(&mut self, field: &Field, value: &str) {
        match self.role(field) {
            Role::None => {}
            Role::Label(label) => self.set(label, value),
            Role::Status => self.status(value),
            _ => self.text(field, value),
        }
    }

    #[inline]
    fn record_u64(&mut self, field: &Field, value: u64) {
        match self.role(field) {
            Role::OutputTokens if value <= MOST => self.values.output_tokens(value),
            Role::InputTokens if value <= MOST => self.values.input_tokens(value),
            _ => self.number(field, value),
        }
    }

    #[inline]
    fn record_i64(&mut self, field: &Field, value: i64) {
        match u64::try_from(value) {
            Ok(value) => self.number(field, value),
            Err(_) => match self.role(field) {
                Role::None | Role::Message => {}
                Role::Label(label) => self.set(label, itoa::Buffer::new().format(value)),
                _ => self.sink.dropped(Dropped::Negative, field.name()),
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
            Role::None | Role::Message => {}
            _ if !value.is_finite() => self.sink.dropped(Dropped::NotANumber, field.name()),
            // A score out of range is the sink's to judge.
            Role::Amount => self.values.amount(value),
            Role::Label(label) => {
                let mut text = Text::new();
                print(&mut text, &format_args!("{value}"));
                self.set(label, text.as_str());
            }
            _ if value < 0.0 => self.sink.dropped(Dropped::Negative, field.name()),
            Role::QueueSeconds => self.values.queue_seconds(value),
            _ => self.number(field, value.round() as u64),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        match self.role(field) {
            Role::Streaming => self.values.streaming(value),
            Role::Hit => self.values.cache(cache_result(value)),
            Role::Error if value => self.values.failed(),
            Role::Label(label) => self.set(label, if value { "true" } else { "false" }),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match self.role(field) {
            Role::None | Role::Message => {}
            // Only that there is one matters, so it is not even printed.
            Role::Error => self.values.failed(),
            _ => {
                let mut text = Text::new();
                if !print(&mut text, value) {
                    self.sink.dropped(Dropped::PanickingField, field.name());
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

/// Prints a foreign value. False if it panicked; what it printed before that stays.
pub(super) fn print(out: &mut dyn fmt::Write, value: &dyn fmt::Debug) -> bool {
    // An error of `fmt` is the value's own, or the buffer's "enough": both leave what was printed.
    catch_unwind(AssertUnwindSafe(|| write!(out, "{value:?}").is_ok())).is_ok()
}

/// The value of `observatory.kind`.
pub(super) struct KindReader<'r> {
    pub(super) plan: &'r Plan,
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
            // `Text` takes everything it has room for, and says Ok.
            let _ = self.name.write_str(value);
        }
    }
}
