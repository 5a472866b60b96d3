//! Reads the fields of a span that the journal needs: the model or route, and a failure.

use std::{
    fmt::{self, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
};

use tracing::field::{Field, Visit};

use crate::observation::{Label, Labels, Text};

/// The fields that name the model, the route or the statement of a span, the most telling first, each with the label that
/// the interpreter gives it. Their values are bounded; prompts and ids are not among them.
const DETAILS: &[(&str, Label)] = &[
    ("model_id", Label::ModelId),
    ("gen_ai.request.model", Label::RequestModel),
    ("route", Label::Route),
    ("http.route", Label::Route),
    ("rpc.method", Label::RpcMethod),
    ("table", Label::Table),
    ("db.collection.name", Label::Table),
    ("queue", Label::Queue),
    ("cache_type", Label::CacheType),
    ("operation", Label::Operation),
];

/// The model or the route of a new span.
pub(super) struct DetailReader<'l> {
    rank: usize,
    pub(super) text: Text,
    pub(super) has_failed: bool,
    /// Returns the labels that the interpreter has read from the span.
    labels: &'l dyn Fn() -> Option<Labels>,
}

impl<'l> DetailReader<'l> {
    pub(super) fn new(labels: &'l dyn Fn() -> Option<Labels>) -> Self {
        Self {
            rank: usize::MAX,
            text: Text::new(),
            has_failed: false,
            labels,
        }
    }

    /// Returns the label of a field that tells more than the fields before.
    #[inline]
    fn better(&mut self, field: &Field) -> Option<Label> {
        let name = field.name();
        let rank = DETAILS.iter().position(|(known, _)| *known == name)?;
        if rank >= self.rank {
            return None;
        }
        self.rank = rank;
        self.text = Text::new();
        Some(DETAILS[rank].1)
    }
}

/// Reads the failure of a span from later records, without the details, which only the fields of a new span tell.
#[derive(Default)]
pub(super) struct FailureReader {
    pub(super) has_failed: bool,
}

impl Visit for FailureReader {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.has_failed |= is_failure(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.has_failed |= field.name() == "error" && value;
    }

    fn record_i64(&mut self, _: &Field, _: i64) {}
    fn record_u64(&mut self, _: &Field, _: u64) {}
    fn record_f64(&mut self, _: &Field, _: f64) {}

    fn record_debug(&mut self, field: &Field, _: &dyn fmt::Debug) {
        self.has_failed |= is_error(field);
    }
}

fn is_error(field: &Field) -> bool {
    matches!(field.name(), "error" | "error.type")
}

fn is_failure(field: &Field, value: &str) -> bool {
    match field.name() {
        "status" => matches!(value, "error" | "timeout"),
        _ => is_error(field) && value != "cancelled",
    }
}

impl Visit for DetailReader<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.has_failed |= is_failure(field, value);
        if self.better(field).is_some() {
            // A longer value is truncated; `write_str` of `Text` always returns `Ok`.
            let _ = self.text.write_str(value);
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.has_failed |= field.name() == "error" && value;
    }

    fn record_i64(&mut self, _: &Field, _: i64) {}
    fn record_u64(&mut self, _: &Field, _: u64) {}
    fn record_f64(&mut self, _: &Field, _: f64) {}

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.has_failed |= is_error(field);
        let Some(label) = self.better(field) else {
            return;
        };
        // The interpreter has printed the value already; the application's code must not run again.
        if let Some(labels) = (self.labels)() {
            let _ = self.text.write_str(labels.get(label).unwrap_or_default());
            return;
        }
        // A panic of the application's code must not reach its caller.
        let text = &mut self.text;
        let _ = catch_unwind(AssertUnwindSafe(|| write!(text, "{value:?}")));
    }
}
