//! Fields in a line, each of them redacted.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use tracing::field::{Field, Visit};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{FormatFields, format::Writer},
};

use crate::traces::redaction::{Redaction, WITHHELD};

/// Writes fields as `name=value`, the message first and bare.
pub(super) struct Fields(Arc<Redaction>);

impl Fields {
    pub(super) fn new(redaction: Arc<Redaction>) -> Self {
        Self(redaction)
    }

    /// Fields that were recorded before.
    pub(super) fn text(fields: &[(&'static str, String)], redaction: &Redaction) -> String {
        let mut text = Text::default();
        for (name, value) in fields {
            text.add(redaction, name, value);
        }
        text.whole()
    }
}

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, mut out: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = Redacted {
            redaction: &self.0,
            text: Text::default(),
        };
        fields.record(&mut visitor);
        out.write_str(&visitor.text.whole())
    }
}

/// Whether a field is shown at all: what came from `log` is said in the line already.
pub(super) fn is_shown(name: &str) -> bool {
    !name.starts_with("log.")
}

/// What is written of some fields.
#[derive(Default)]
struct Text {
    message: Option<String>,
    others: String,
}

impl Text {
    fn add(&mut self, redaction: &Redaction, name: &str, value: &str) {
        let shown = redaction.shown(name, value);
        if name == "message" {
            // Its line breaks are the author's, as in tracing-subscriber's own lines.
            self.message = Some(printable(&shown, |c| matches!(c, '\n' | '\t')).into_owned());
            return;
        }
        let shown = printable(&shown, |_| false);
        let space = if self.others.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = write!(self.others, "{space}{name}={shown}");
    }

    fn whole(self) -> String {
        match self.message {
            Some(message) if self.others.is_empty() => message,
            Some(message) => format!("{message} {}", self.others),
            None => self.others,
        }
    }
}

/// Without characters that a terminal would obey, or that would make one line look like two.
fn printable(text: &str, is_fine: impl Fn(char) -> bool) -> Cow<'_, str> {
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

struct Redacted<'r> {
    redaction: &'r Redaction,
    text: Text,
}

impl Visit for Redacted<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if is_shown(field.name()) {
            self.text.add(self.redaction, field.name(), value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if is_shown(field.name()) {
            let value = printed(value);
            self.text.add(self.redaction, field.name(), &value);
        }
    }
}

/// A foreign value in print; a panic of its is no reason to lose the line.
pub(in crate::traces) fn printed(value: &dyn fmt::Debug) -> String {
    catch_unwind(AssertUnwindSafe(|| format!("{value:?}"))).unwrap_or_else(|_| WITHHELD.to_owned())
}
