//! Fields of spans and events, as they are recorded and, after redaction, as a line shows them.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use serde::{Serialize, Serializer};
use tracing::field::{Field, Visit};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{FormatFields, format::Writer},
};

use crate::privacy::{MASK, Redaction, WITHHELD};

/// Fields with their values. A field that is recorded again replaces its earlier value.
#[derive(Debug, Default)]
pub(super) struct RecordedFields(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    name: &'static str,
    value: Value,
    is_judged: bool,
}

/// The value of a field.
#[derive(Debug, PartialEq)]
pub(super) enum Value {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Bool(bool),
    Text(String),
}

impl RecordedFields {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds fields that were recorded later.
    pub(super) fn extend(&mut self, later: Self) {
        for entry in later.0 {
            self.put(entry);
        }
    }

    /// Redacts each value that is not redacted yet.
    pub(super) fn redact(&mut self, redaction: &Redaction) {
        for entry in self.0.iter_mut().filter(|entry| !entry.is_judged) {
            entry.value.redact(entry.name, redaction);
            entry.is_judged = true;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|entry| (entry.name, &entry.value))
    }

    /// Formats the fields for a pretty line: `name=value`, with the message first and without its name.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        let message = self.iter().find(|(name, _)| *name == "message");
        if let Some((_, message)) = message {
            // Line breaks of the message are kept, as in tracing-subscriber's own lines.
            text.push_str(&printable(&message.to_string(), |c| {
                matches!(c, '\n' | '\t')
            }));
        }
        for (name, value) in self.iter().filter(|(name, _)| *name != "message") {
            let space = if text.is_empty() { "" } else { " " };
            // Writing to a string cannot fail.
            let _ = match value {
                Value::Text(value) => write!(text, "{space}{name}={}", printable(value, |_| false)),
                plain => write!(text, "{space}{name}={plain}"),
            };
        }
        text
    }

    fn set(&mut self, field: &Field, value: impl FnOnce() -> Value) {
        if is_shown(field.name()) {
            self.put(Entry {
                name: field.name(),
                value: value(),
                is_judged: false,
            });
        }
    }

    fn put(&mut self, entry: Entry) {
        match self.0.iter_mut().find(|known| known.name == entry.name) {
            Some(known) => *known = entry,
            None => self.0.push(entry),
        }
    }
}

impl Value {
    fn redact(&mut self, name: &str, redaction: &Redaction) {
        let instead = match self {
            Self::Text(text) => match redaction.shown(name, text) {
                Cow::Borrowed(shown) if std::ptr::eq(shown, text.as_str()) => None,
                shown => Some(shown.into_owned()),
            },
            _ if redaction.is_denied(name) => Some(WITHHELD.to_owned()),
            Self::Signed(number) if redaction.masks_number(*number) => Some(MASK.to_owned()),
            Self::Unsigned(number) if redaction.masks_number(*number) => Some(MASK.to_owned()),
            Self::Float(number) if redaction.masks_float(*number) => Some(MASK.to_owned()),
            Self::Signed(_) | Self::Unsigned(_) | Self::Float(_) | Self::Bool(_) => None,
        };
        if let Some(text) = instead {
            *self = Self::Text(text);
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signed(number) => number.fmt(f),
            Self::Unsigned(number) => number.fmt(f),
            Self::Float(number) => fmt::Debug::fmt(number, f),
            Self::Bool(value) => value.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Signed(number) => serializer.serialize_i64(*number),
            Self::Unsigned(number) => serializer.serialize_u64(*number),
            Self::Float(number) if number.is_finite() => serializer.serialize_f64(*number),
            // JSON has no NaN and no infinities.
            Self::Float(number) => serializer.collect_str(number),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl Visit for RecordedFields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, || Value::Signed(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, || Value::Unsigned(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, || Value::Float(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, || Value::Bool(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, || Value::Text(value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, || Value::Text(printed(value)));
    }
}

/// Formats the fields of events in pretty lines.
pub(super) struct Fields(Arc<Redaction>);

impl Fields {
    pub(super) const fn new(redaction: Arc<Redaction>) -> Self {
        Self(redaction)
    }
}

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, mut out: Writer<'w>, fields: R) -> fmt::Result {
        let mut recorded = RecordedFields::default();
        fields.record(&mut recorded);
        recorded.redact(&self.0);
        out.write_str(&recorded.to_text())
    }
}

/// Returns `true` if a field is shown. The metadata fields of `log` are already part of the line.
fn is_shown(name: &str) -> bool {
    !name.starts_with("log.")
}

/// Escapes the characters that control a terminal or that split one line into two.
pub(crate) fn printable(text: &str, is_allowed: impl Fn(char) -> bool) -> Cow<'_, str> {
    let obeys = |c: char| c.is_control() && !is_allowed(c);
    if !text.contains(obeys) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if obeys(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Formats a foreign value with `Debug`; a panic of the value does not lose the line.
pub(crate) fn printed(value: &dyn fmt::Debug) -> String {
    try_printed(value).unwrap_or_else(|| WITHHELD.to_owned())
}

/// Formats a foreign value with `Debug`; returns `None` if the value panics.
pub(crate) fn try_printed(value: &dyn fmt::Debug) -> Option<String> {
    catch_unwind(AssertUnwindSafe(|| format!("{value:?}"))).ok()
}
