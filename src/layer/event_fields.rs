//! Reads the fields of events: the name in a message, and the metrics of the application.

use std::{
    cell::Cell,
    fmt::{self, Write as _},
    ops::Range,
};

use tracing::field::{Field, Visit};

use super::{
    callsite::CallsitePlan,
    field_reader::print,
    fields::{self, Role},
};
use crate::observation::{CustomMetric, Dropped, Observation, Sink};

/// The name of an event: the name of its callsite, or its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventName {
    /// Marks the time of the first content token.
    FirstToken,
    /// Adds `count` content tokens; 1 without a count.
    Token,
    /// Sets the size of the cache `cache_type` to `bytes`.
    CacheSize,
    /// Sets the quality of a model's answers to `score`.
    ModelQuality,
    /// Records the `similarity` of the answers of a model and of `comparison_model`.
    ResponseSimilarity,
}

impl EventName {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "first_token" => Self::FirstToken,
            "token" => Self::Token,
            "cache_size" => Self::CacheSize,
            "model_quality" => Self::ModelQuality,
            "response_similarity" => Self::ResponseSimilarity,
            _ => return None,
        })
    }
}

/// Bytes of the longest event name, and 1 more, so that a longer message never equals a name.
const MAX_NAME_BYTES: usize = "response_similarity".len() + 1;

/// Reads the start of a message, up to the length of an event name.
#[derive(Default)]
pub(super) struct Message {
    bytes: [u8; MAX_NAME_BYTES],
    len: usize,
}

impl Message {
    pub(super) fn named(&self) -> Option<EventName> {
        EventName::parse(std::str::from_utf8(&self.bytes[..self.len]).ok()?)
    }
}

impl fmt::Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Accepts and drops the text beyond the buffer: an error would reach the application's code.
        let room = self.bytes.len() - self.len;
        let fits = &text.as_bytes()[..text.len().min(room)];
        self.bytes[self.len..self.len + fits.len()].copy_from_slice(fits);
        self.len += fits.len();
        Ok(())
    }
}

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // A message whose arguments panic holds no name.
            print(self, value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            let _ = self.write_str(value);
        }
    }
}

/// Max capacity of a text buffer that the next event reuses.
const MAX_REUSED_BYTES: usize = 16 * 1024;
/// Max metrics of an event.
const MAX_METRICS: usize = 16;

/// Reads the metrics and the labels of an event.
pub(super) struct MetricsReader<'r> {
    plan: &'r CallsitePlan,
    sink: &'r dyn Sink,
    metrics: [Option<(&'static str, f64)>; MAX_METRICS],
    count: usize,
    scratch: Scratch,
}

/// The label values in a single buffer, and the range of each. Each thread reuses its buffers, to avoid allocations.
#[derive(Default)]
struct Scratch {
    text: String,
    labels: Vec<(&'static str, Range<usize>)>,
}

thread_local! { static SCRATCH: Cell<Option<Scratch>> = const { Cell::new(None) } }

impl<'r> MetricsReader<'r> {
    pub(super) fn new(plan: &'r CallsitePlan, sink: &'r dyn Sink) -> Self {
        // The destructor of another thread-local may run after this thread-local is destroyed.
        let mut scratch = SCRATCH
            .try_with(Cell::take)
            .ok()
            .flatten()
            .unwrap_or_default();
        scratch.text.clear();
        scratch.labels.clear();
        Self {
            plan,
            sink,
            metrics: [None; MAX_METRICS],
            count: 0,
            scratch,
        }
    }

    /// Passes the metrics to the sink.
    pub(super) fn record(self) {
        const ON_STACK: usize = 16;
        let Self {
            sink,
            metrics,
            scratch,
            ..
        } = self;
        let label = |(name, range): &(&'static str, Range<usize>)| {
            (*name, scratch.text.get(range.clone()).unwrap_or_default())
        };
        let mut on_stack = [("", ""); ON_STACK];
        let on_heap: Vec<(&str, &str)>;
        let labels = if scratch.labels.len() <= ON_STACK {
            for (place, read) in on_stack.iter_mut().zip(&scratch.labels) {
                *place = label(read);
            }
            &on_stack[..scratch.labels.len()]
        } else {
            on_heap = scratch.labels.iter().map(label).collect();
            &on_heap
        };
        for (field, value) in metrics.into_iter().flatten() {
            if let Some((kind, name)) = fields::metric(field) {
                sink.record(&Observation::Custom(CustomMetric {
                    name,
                    kind,
                    value,
                    labels,
                }));
            }
        }
        if scratch.text.capacity() <= MAX_REUSED_BYTES {
            let _ = SCRATCH.try_with(|kept| kept.set(Some(scratch)));
        }
    }

    fn metric(&mut self, field: &Field, value: f64) {
        match self.metrics.get_mut(self.count) {
            Some(place) => {
                *place = Some((field.name(), value));
                self.count += 1;
            }
            None => self.sink.dropped(Dropped::TooManyMetrics, field.name()),
        }
    }

    /// Adds a label, unless its text is content.
    fn text_label(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        match self.plan.role(field.index()) {
            Role::Message => {}
            Role::Content => self.sink.dropped(Dropped::Content, field.name()),
            _ => self.label(field, value),
        }
    }

    fn label(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        // The bridge of the `log` crate describes the record in `log.` fields.
        if field.name().starts_with("log.") {
            return;
        }
        let start = self.scratch.text.len();
        if !print(&mut self.scratch.text, &value) {
            self.sink.dropped(Dropped::PanickingField, field.name());
        }
        let end = self.scratch.text.len();
        self.scratch.labels.push((field.name(), start..end));
    }

    fn is_metric(&self, field: &Field) -> bool {
        matches!(self.plan.role(field.index()), Role::Metric(_))
    }
}

impl Visit for MetricsReader<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if self.is_metric(field) {
            self.metric(field, value);
        } else {
            self.label(field, format_args!("{value}"));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if self.is_metric(field) {
            self.metric(field, value as f64);
        } else {
            self.label(field, format_args!("{value}"));
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if self.is_metric(field) {
            self.metric(field, value as f64);
        } else {
            self.label(field, format_args!("{value}"));
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if self.is_metric(field) {
            self.metric(field, f64::from(u8::from(value)));
        } else {
            self.label(field, format_args!("{value}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if !self.is_metric(field) {
            return self.text_label(field, format_args!("{value}"));
        }
        match value.parse() {
            Ok(number) => self.metric(field, number),
            Err(_) => self.sink.dropped(Dropped::NotNumeric, field.name()),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.is_metric(field) {
            // Accepts a printed number: `gauge.depth = %depth`.
            let mut text = crate::observation::Text::new();
            print(&mut text, value);
            self.record_str(field, text.as_str());
        } else {
            self.text_label(field, format_args!("{value:?}"));
        }
    }
}
