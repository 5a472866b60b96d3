//! Fields in a line, each of them redacted.

use std::{
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
}

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, mut out: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = Redacted {
            redaction: &self.0,
            message: None,
            text: String::new(),
        };
        fields.record(&mut visitor);
        let Redacted { message, text, .. } = visitor;
        match message {
            Some(message) if text.is_empty() => out.write_str(&message),
            Some(message) => write!(out, "{message} {text}"),
            None => out.write_str(&text),
        }
    }
}

struct Redacted<'r> {
    redaction: &'r Redaction,
    message: Option<String>,
    text: String,
}

impl Redacted<'_> {
    fn add(&mut self, field: &Field, value: &str) {
        // What came from `log` is said in the line already.
        if field.name().starts_with("log.") {
            return;
        }
        let shown = self.redaction.shown(field.name(), value);
        if field.name() == "message" {
            self.message = Some(shown.into_owned());
            return;
        }
        let space = if self.text.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{space}{}={shown}", field.name());
    }
}

impl Visit for Redacted<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, &printed(value));
    }
}

/// A foreign value in print; a panic of its is no reason to lose the line.
pub(in crate::traces) fn printed(value: &dyn fmt::Debug) -> String {
    catch_unwind(AssertUnwindSafe(|| format!("{value:?}"))).unwrap_or_else(|_| WITHHELD.to_owned())
}
