//! Reads the fields of a span or an event into values and labels on the stack.
//!
//! Numbers are taken in any type, also as text; foreign `Debug` and `Display` impls print into a bounded buffer,
//! with nothing held that they could come back to, and a panic of theirs ends there.

use std::{
    fmt::{self, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
};

use tracing::field::{Field, Visit};

use super::{
    callsite::Plan,
    fields::Role,
    values::{Target, UNSET},
    watch::Watch,
};
use crate::observation::{
    CacheResult, Dropped, Kind, Label, Labels, Outcome, Sink, Text, TokenSource,
};

/// The largest count or size that is believed; a subtraction that went below 0 is far above.
const MOST: u64 = 1 << 40;

/// Reads fields by the roles that a plan gives them.
///
/// What is known of the target when this is compiled is not asked at each field: which kind it is, whether there
/// are labels already.
pub(super) struct Reader<'r, T: Target, W> {
    plan: &'r Plan,
    /// Its sink is hardly ever needed, so not even that one's address is computed until it is.
    watch: &'r Watch,
    /// Some fields mean different things to different kinds.
    kind: T::Kind,
    /// Labels and failures.
    pub(super) words: W,
    pub(super) values: T,
}

/// Where a [`Reader`] puts what is no number.
pub(super) trait Words {
    fn set(&mut self, label: Label, value: &str);
    fn set_failure(&mut self, label: Label, value: &str);
    fn set_ended(&mut self);
    fn into_read(self) -> Read;
}

/// Labels, and the class and component of a failure, which are no part of who was called.
pub(super) struct Read {
    pub(super) labels: Labels,
    pub(super) failure: Option<Box<Labels>>,
    /// What the span watched is over.
    pub(super) has_ended: bool,
}

impl Read {
    #[inline]
    const fn new() -> Self {
        Self {
            labels: Labels::new(),
            failure: None,
            has_ended: false,
        }
    }

    /// The labels; reports what was cut of them.
    #[inline]
    pub(super) fn checked(&mut self, sink: &dyn Sink) -> &mut Labels {
        if self.labels.truncated() > 0 {
            report_truncated(sink, self.labels.truncated());
        }
        &mut self.labels
    }

    /// The labels that were read, and those of a failure.
    pub(super) fn all(&self) -> impl Iterator<Item = &Labels> {
        std::iter::once(&self.labels).chain(self.failure.as_deref())
    }
}

/// Of what is likely to have labels.
impl Words for Read {
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

    fn into_read(self) -> Read {
        self
    }
}

/// Of what is likely to have none: what is recorded late is mostly numbers.
impl Words for Option<Read> {
    #[inline(never)]
    fn set(&mut self, label: Label, value: &str) {
        self.get_or_insert_with(Read::new).set(label, value);
    }

    #[cold]
    fn set_failure(&mut self, label: Label, value: &str) {
        self.get_or_insert_with(Read::new).set_failure(label, value);
    }

    #[inline(never)]
    fn set_ended(&mut self) {
        self.get_or_insert_with(Read::new).has_ended = true;
    }

    fn into_read(self) -> Read {
        self.unwrap_or(Read::new())
    }
}

impl<'r, T: Target> Reader<'r, T, Read> {
    /// A reader of what is likely to have labels.
    #[inline]
    pub(super) fn new(plan: &'r Plan, watch: &'r Watch, kind: T::Kind, values: T) -> Self {
        Self {
            plan,
            watch,
            kind,
            words: Read::new(),
            values,
        }
    }
}

impl<'r, T: Target> Reader<'r, T, Option<Read>> {
    /// A reader of what is likely to have none.
    #[inline]
    pub(super) fn late(plan: &'r Plan, watch: &'r Watch, kind: T::Kind, values: T) -> Self {
        Self {
            plan,
            watch,
            kind,
            words: None,
            values,
        }
    }
}

impl<T: Target, W: Words> Reader<'_, T, W> {
    /// All labels, none where none was read, and values.
    pub(super) fn into_parts(self) -> (Labels, T) {
        let mut read = self.words.into_read();
        read.checked(&*self.watch.sink);
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
        self.words.set_failure(label, value);
        if label == Label::ErrorType && !value.is_empty() {
            self.values.failed_with(value == "timeout");
        }
    }

    #[inline]
    fn status(&mut self, status: &str) {
        match self.kind.into() {
            Kind::Cache | Kind::HttpRequest => self.status_or_result(status),
            // Nearly all are this one.
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
            self.watch.sink.dropped(Dropped::UnknownStatus, status);
        }
    }

    fn number(&mut self, field: &Field, value: u64) {
        let role = self.plan.role(field.index());
        if value > MOST && role.is_count() {
            return self.watch.sink.dropped(Dropped::OutOfRange, field.name());
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
            Role::Status if self.kind.into() == Kind::HttpRequest => {
                values.status_code(u16::try_from(value).unwrap_or(0));
            }
            Role::Status => self.status(itoa::Buffer::new().format(value)),
            Role::Label(label) => self.words.set(label, itoa::Buffer::new().format(value)),
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
            Role::Label(label) => self.words.set(label, value),
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
                None => self.watch.sink.dropped(Dropped::NotNumeric, field.name()),
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
                    Err(_) => self.watch.sink.dropped(Dropped::NotNumeric, field.name()),
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

impl<T: Target, W: Words> Visit for Reader<'_, T, W> {
    #[inline]
    fn record_str(&mut self, field: &Field, value: &str) {
        match self.role(field) {
            Role::None => {}
            Role::Label(label) => self.words.set(label, value),
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
                Role::None | Role::Message | Role::Alert(_) => {}
                Role::Label(label) => self.words.set(label, itoa::Buffer::new().format(value)),
                _ => self.watch.sink.dropped(Dropped::Negative, field.name()),
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
            _ if !value.is_finite() => self.watch.sink.dropped(Dropped::NotANumber, field.name()),
            // A score out of range is the sink's to judge.
            Role::Amount => self.values.amount(value),
            Role::Label(label) => {
                let mut text = Text::new();
                print(&mut text, &format_args!("{value}"));
                self.words.set(label, text.as_str());
            }
            _ if value < 0.0 => self.watch.sink.dropped(Dropped::Negative, field.name()),
            Role::QueueSeconds => self.values.queue_seconds(value),
            _ => self.number(field, value.round() as u64),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        match self.role(field) {
            Role::Streaming => self.values.streaming(value),
            Role::Hit => self.values.cache(cache_result(value)),
            Role::Error if value => self.values.failed(),
            Role::Ended if value => self.words.set_ended(),
            Role::Label(label) => self.words.set(label, if value { "true" } else { "false" }),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match self.role(field) {
            Role::None | Role::Message | Role::Alert(_) => {}
            // Only that there is one matters, so it is not even printed.
            Role::Error => self.values.failed(),
            _ => {
                let mut text = Text::new();
                if !print(&mut text, value) {
                    self.watch
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
