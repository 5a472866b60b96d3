//! Reads the fields of a span that the journal needs: the model or route, and a failure.

use std::{
    fmt::{self, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
};

use tracing::field::{Field, Visit};

use crate::observation::Text;

/// The fields that name the model, the route or the statement of a span, the most telling first. Their values are
/// bounded; prompts and ids are not among them.
const DETAILS: &[&str] = &[
    "model_id",
    "gen_ai.request.model",
    "route",
    "http.route",
    "rpc.method",
    "table",
    "db.collection.name",
    "queue",
    "cache_type",
    "operation",
];

/// The model or the route of a span.
pub(super) struct DetailReader {
    rank: usize,
    pub(super) text: Text,
    pub(super) has_failed: bool,
}

impl DetailReader {
    pub(super) fn new() -> Self {
        Self {
            rank: usize::MAX,
            text: Text::new(),
            has_failed: false,
        }
    }

    fn read(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let name = field.name();
        if let Some(rank) = DETAILS.iter().position(|known| *known == name)
            && rank < self.rank
        {
            self.rank = rank;
            self.text = Text::new();
            // A longer value is truncated. A panic of the application's code must not reach its caller.
            let text = &mut self.text;
            let _ = catch_unwind(AssertUnwindSafe(|| text.write_fmt(value)));
        }
    }
}

impl Visit for DetailReader {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "status" => self.has_failed |= matches!(value, "error" | "timeout"),
            "error" | "error.type" => self.has_failed |= value != "cancelled",
            _ => self.read(field, format_args!("{value}")),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.has_failed |= field.name() == "error" && value;
    }

    fn record_i64(&mut self, _: &Field, _: i64) {}
    fn record_u64(&mut self, _: &Field, _: u64) {}
    fn record_f64(&mut self, _: &Field, _: f64) {}

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "error" | "error.type" => self.has_failed = true,
            name if DETAILS.contains(&name) => self.read(field, format_args!("{value:?}")),
            _ => {}
        }
    }
}
