//! Events: tokens of a stream, errors, metrics of the application's own, sizes and scores.

use std::{
    cell::Cell,
    fmt::{self, Write as _},
    ops::Range,
};

use tracing::field::{Field, Visit};

use super::{
    callsite::Plan,
    fields::{self, Role},
    visit::print,
};
use crate::observation::{CustomMetric, Dropped, Observation, Sink};

/// Events that have a name: their callsite's, or their message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// The first content token came. Only marks the time.
    FirstToken,
    /// `count` content tokens came, 1 where it does not say.
    Token,
    /// A cache of this `cache_type` holds `bytes` now.
    CacheSize,
    /// The quality of a model's answers: `score`.
    ModelQuality,
    /// The answers of a model and its `comparison_model` were alike by `similarity`.
    ResponseSimilarity,
}

impl Named {
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

/// Longest name of an event, and a little more, so that a longer message is not mistaken for one.
const LONGEST: usize = "response_similarity".len() + 1;

/// Reads a message as far as it could be the name of an event.
#[derive(Default)]
pub(super) struct Message {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Message {
    pub(super) fn named(&self) -> Option<Named> {
        Named::parse(std::str::from_utf8(&self.bytes[..self.len]).ok()?)
    }
}

impl fmt::Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // What is too long to be a name is taken and forgotten: an error would go to the application's own code.
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
            // A message whose arguments panic is no name of ours.
            print(self, value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            let _ = self.write_str(value);
        }
    }
}

/// Text that is kept for the next event at most.
const MOST_KEPT: usize = 16 * 1024;
/// Metrics of one event at most.
const MOST_METRICS: usize = 16;

/// Reads the metrics of an event and, beside them, the labels.
pub(super) struct MetricsReader<'r> {
    plan: &'r Plan,
    sink: &'r dyn Sink,
    metrics: [Option<(&'static str, f64)>; MOST_METRICS],
    count: usize,
    scratch: Scratch,
}

/// Label values one behind the other, and where each is. Kept per thread, so that nothing is allocated in the long run.
#[derive(Default)]
struct Scratch {
    text: String,
    labels: Vec<(&'static str, Range<usize>)>,
}

thread_local! { static SCRATCH: Cell<Option<Scratch>> = const { Cell::new(None) } }

impl<'r> MetricsReader<'r> {
    pub(super) fn new(plan: &'r Plan, sink: &'r dyn Sink) -> Self {
        // A destructor of another thread-local may run after this one is gone.
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
            metrics: [None; MOST_METRICS],
            count: 0,
            scratch,
        }
    }

    /// Records everything.
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
        if scratch.text.capacity() <= MOST_KEPT {
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

    fn label(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        // `log`'s bridge describes the record in fields of its own.
        if field.name().starts_with("log.") {
            return;
        }
        if self.plan.role(field.index()) == Role::Content {
            return self.sink.dropped(Dropped::Content, field.name());
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
            if self.plan.role(field.index()) != Role::Message {
                self.label(field, format_args!("{value}"));
            }
            return;
        }
        match value.parse() {
            Ok(number) => self.metric(field, number),
            Err(_) => self.sink.dropped(Dropped::NotNumeric, field.name()),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.is_metric(field) {
            // A number printed is a number still: `gauge.depth = %depth`.
            let mut text = crate::observation::Text::new();
            print(&mut text, value);
            self.record_str(field, text.as_str());
        } else if self.plan.role(field.index()) != Role::Message {
            self.label(field, format_args!("{value:?}"));
        }
    }
}
