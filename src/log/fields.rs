//! Fields, as they are recorded and as a line shows them: judged by the redaction in between.

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

/// Fields with their values: of one name the latest.
#[derive(Debug, Default)]
pub(super) struct Recorded(Vec<Entry>);

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

impl Recorded {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes what was recorded later.
    pub(super) fn extend(&mut self, later: Self) {
        for entry in later.0 {
            self.put(entry);
        }
    }

    /// Leaves of each value what may be shown.
    pub(super) fn judge(&mut self, redaction: &Redaction) {
        for entry in self.0.iter_mut().filter(|entry| !entry.is_judged) {
            entry.value.judge(entry.name, redaction);
            entry.is_judged = true;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|entry| (entry.name, &entry.value))
    }

    /// In a line for people: `name=value`, the message first and bare.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        let message = self.iter().find(|(name, _)| *name == "message");
        if let Some((_, message)) = message {
            // Its line breaks are the author's, as in tracing-subscriber's own lines.
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
    fn judge(&mut self, name: &str, redaction: &Redaction) {
        let instead = match self {
            Self::Text(text) => match redaction.shown(name, text) {
                Cow::Borrowed(shown) if std::ptr::eq(shown, text.as_str()) => None,
                shown => Some(shown.into_owned()),
            },
            _ if redaction.is_withheld(name) => Some(WITHHELD.to_owned()),
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
            // JSON has no such number.
            Self::Float(number) => serializer.collect_str(number),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl Visit for Recorded {
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

/// Writes the fields of events into lines for people.
pub(super) struct Fields(Arc<Redaction>);

impl Fields {
    pub(super) const fn new(redaction: Arc<Redaction>) -> Self {
        Self(redaction)
    }
}

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, mut out: Writer<'w>, fields: R) -> fmt::Result {
        let mut recorded = Recorded::default();
        fields.record(&mut recorded);
        recorded.judge(&self.0);
        out.write_str(&recorded.to_text())
    }
}

/// Whether a field is shown at all: what came from `log` is said in the line already.
fn is_shown(name: &str) -> bool {
    !name.starts_with("log.")
}

/// Without characters that a terminal would obey, or that would make one line look like two.
pub(crate) fn printable(text: &str, is_fine: impl Fn(char) -> bool) -> Cow<'_, str> {
    let obeys = |c: char| c.is_control() && !is_fine(c);
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

/// A foreign value in print; a panic of its is no reason to lose the line.
pub(crate) fn printed(value: &dyn fmt::Debug) -> String {
    try_printed(value).unwrap_or_else(|| WITHHELD.to_owned())
}

/// `None` where it panicked.
pub(crate) fn try_printed(value: &dyn fmt::Debug) -> Option<String> {
    catch_unwind(AssertUnwindSafe(|| format!("{value:?}"))).ok()
}
