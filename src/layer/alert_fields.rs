//! Events that raise an alert, or take it back: `alert.rule`, `alert.resolve`, `alert.severity`, a message, labels.
//!
//! They are rare, so reading one may allocate.

use std::fmt;

use tracing::{Event, field::Field, field::Visit};

use super::{
    callsite::Plan,
    fields::{AlertField, Role},
    visit::print,
};
use crate::observation::{AlertSignal, Dropped, Sink, TraceReference};

/// Labels of one event at most; further ones are left out, and counted.
const MOST_LABELS: usize = 32;
/// Bytes of a message at most.
const MOST_TEXT: usize = 16 * 1024;

/// Reads the fields of an event that speaks of an alert.
struct AlertReader<'r> {
    plan: &'r Plan,
    sink: &'r dyn Sink,
    rule: String,
    is_over: bool,
    severity: Option<String>,
    message: String,
    labels: Vec<(&'static str, String)>,
}

/// Records what an event says of an alert, and in which trace it says so.
#[cold]
pub(super) fn record(
    plan: &Plan,
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
        let fits = text.floor_char_boundary(MOST_TEXT);
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
            // `log`'s bridge describes the record in fields of its own.
            _ if field.name().starts_with("log.") => {}
            Role::Content => self.sink.dropped(Dropped::Content, field.name()),
            _ if self.labels.len() < MOST_LABELS => self.labels.push((field.name(), text)),
            _ => self.sink.dropped(Dropped::Truncated, field.name()),
        }
    }
}

impl Visit for AlertReader<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, format_args!("{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.text(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format_args!("{value:?}"));
    }
}
