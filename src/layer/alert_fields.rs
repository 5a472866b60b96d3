//! Reads events that raise or resolve an alert: `alert.rule`, `alert.resolve`, `alert.severity`, message, labels.
//!
//! Such events are rare, so reading them may allocate.

use std::fmt;

use tracing::{Event, field::Field, field::Visit};

use super::{
    callsite::CallsitePlan,
    field_reader::print,
    fields::{AlertField, Role},
};
use crate::observation::{AlertSignal, Dropped, Sink, TraceReference};

/// Max labels of an event; further labels are dropped and counted.
const MAX_LABELS: usize = 32;
/// Max bytes of a message.
const MAX_TEXT_BYTES: usize = 16 * 1024;

/// Reads the fields of an alert event.
struct AlertReader<'r> {
    plan: &'r CallsitePlan,
    sink: &'r dyn Sink,
    rule: String,
    is_over: bool,
    severity: Option<String>,
    message: String,
    labels: Vec<(&'static str, String)>,
}

/// Records the alert of an event, with the trace that the event belongs to.
#[cold]
pub(super) fn record(
    plan: &CallsitePlan,
    event: &Event<'_>,
    sink: &dyn Sink,
    trace: Option<TraceReference>,
) {
    let mut reader = AlertReader {
        plan,
        sink,
        rule: String::new(),
        is_over: false,
        severity: None,
        message: String::new(),
        labels: Vec::new(),
    };
    event.record(&mut reader);
    let labels: Vec<(&str, &str)> = reader
        .labels
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let signal = AlertSignal {
        rule: &reader.rule,
        is_over: reader.is_over,
        severity: reader.severity.as_deref(),
        message: &reader.message,
        labels: &labels,
        trace,
    };
    sink.record(&signal.into());
}

impl AlertReader<'_> {
    fn text(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let mut text = String::new();
        if !print(&mut text, &value) {
            self.sink.dropped(Dropped::PanickingField, field.name());
        }
        let fits = text.floor_char_boundary(MAX_TEXT_BYTES);
        if fits < text.len() {
            text.truncate(fits);
            self.sink.dropped(Dropped::Truncated, field.name());
        }
        match self.plan.role(field.index()) {
            Role::Alert(AlertField::Rule) => self.rule = text,
            Role::Alert(AlertField::Resolve) => {
                self.rule = text;
                self.is_over = true;
            }
            Role::Alert(AlertField::Severity) => self.severity = Some(text),
            Role::Message => self.message = text,
            // The bridge of the `log` crate describes the record in `log.` fields.
            _ if field.name().starts_with("log.") => {}
            Role::Content => self.sink.dropped(Dropped::Content, field.name()),
            _ => self.label(field, text),
        }
    }

    /// Reads a number or a boolean, which is no content.
    fn plain(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        match self.plan.role(field.index()) {
            Role::Content => self.label(field, value.to_string()),
            _ => self.text(field, value),
        }
    }

    fn label(&mut self, field: &Field, text: String) {
        if self.labels.len() < MAX_LABELS {
            self.labels.push((field.name(), text));
        } else {
            self.sink.dropped(Dropped::Truncated, field.name());
        }
    }
}

impl Visit for AlertReader<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, format_args!("{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format_args!("{value:?}"));
    }
}
