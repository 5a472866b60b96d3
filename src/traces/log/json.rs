//! An event as a JSON object on a line.

use std::{fmt, time::SystemTime};

use opentelemetry::trace::SpanContext;
use serde_json::{Map, Value, json};
use tracing::{
    Event,
    field::{Field, Visit},
};
use tracing_log::NormalizeEvent as _;

use super::fields::{is_shown, printed};
use crate::traces::redaction::Redaction;

pub(super) fn line(
    event: &Event<'_>,
    spans: &[&str],
    ids: Option<&SpanContext>,
    redaction: &Redaction,
    now: SystemTime,
) -> Value {
    let normalized = event.normalized_metadata();
    let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
    let mut found = Found {
        redaction,
        message: None,
        fields: Map::new(),
    };
    event.record(&mut found);
    let mut line = json!({
        "timestamp": humantime::format_rfc3339_micros(now).to_string(),
        "level": metadata.level().as_str(),
        "target": metadata.target(),
        "message": found.message,
        "fields": found.fields,
        "spans": spans,
    });
    if let Some(ids) = ids {
        line["trace_id"] = ids.trace_id().to_string().into();
        line["span_id"] = ids.span_id().to_string().into();
        line["trace_flags"] = if ids.is_sampled() { "01" } else { "00" }.into();
    }
    line
}

struct Found<'r> {
    redaction: &'r Redaction,
    message: Option<String>,
    fields: Map<String, Value>,
}

impl Found<'_> {
    fn text(&mut self, field: &Field, text: &str) {
        let shown = self.redaction.shown(field.name(), text).into_owned();
        if field.name() == "message" {
            self.message = Some(shown);
        } else {
            self.other(field, shown.into());
        }
    }

    fn other(&mut self, field: &Field, value: Value) {
        if is_shown(field.name()) {
            self.fields.insert(field.name().to_owned(), value);
        }
    }

    /// A number or a truth value stays one, unless its name says that it must not be shown.
    fn plain(&mut self, field: &Field, value: Value) {
        if self.redaction.is_withheld(field.name()) {
            self.text(field, "");
        } else {
            self.other(field, value);
        }
    }
}

impl Visit for Found<'_> {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.plain(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &printed(value));
    }
}
