//! Expands the templates that replace a channel's texts, in Go's template language with Alertmanager's data.
//!
//! A template that does not parse is an error of the configuration. A template that fails for an alert does not hold
//! the alert back: the channel sends its own text with a note of the error. `docs/alert-templates.md` lists the texts
//! of each channel, the data and the functions.

mod data;
mod files;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

pub use self::files::TemplateFiles;
use super::{Message, content::one_line};
pub(super) use crate::alerting::template::Escape;
use crate::alerting::{
    RoutingError,
    template::{MessageInputs, MessageTemplate, Value},
};

/// Characters of a template's error that are shown.
const MAX_ERROR_CHARS: usize = 300;
/// Bytes of HTML that a template may give: ten times the part of a mail that Gmail shows.
#[cfg(any(test, feature = "email"))]
const MAX_HTML_BYTES: usize = 1_000_000;

/// A text of a channel that a template can replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) name: &'static str,
    /// The escaping of values that actions write into the text.
    pub(super) escape: Escape,
    may_be_blank: bool,
}

/// The parsed templates of a channel.
#[derive(Clone, Debug, Default)]
pub(super) struct Templates {
    compiled: Vec<Compiled>,
    files: TemplateFiles,
}

#[derive(Clone, Debug)]
struct Compiled {
    slot: Slot,
    template: Arc<MessageTemplate>,
    /// True if a failure has been logged. Later failures are not logged, since each message has the note.
    has_failed: Arc<AtomicBool>,
}

/// The texts that templates gave for one message.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rendered {
    texts: BTreeMap<&'static str, String>,
    /// The first failure; empty if no template failed.
    pub(super) note: String,
}

impl Slot {
    /// A text that must not be empty: `PagerDuty` rejects an event without a summary.
    pub(super) const fn new(name: &'static str, escape: Escape) -> Self {
        Self {
            name,
            escape,
            may_be_blank: false,
        }
    }

    /// Allows an empty text: the rest of the message says enough.
    pub(super) const fn or_blank(mut self) -> Self {
        self.may_be_blank = true;
        self
    }
}

impl Templates {
    /// Parses the templates of a channel, by the names of their texts.
    pub(super) fn new(
        channel: &str,
        known: &[Slot],
        sources: &BTreeMap<String, String>,
        files: &TemplateFiles,
    ) -> Result<Self, RoutingError> {
        let error = |problem: String| RoutingError::channel(channel, "templates", problem);
        let mut compiled = Vec::new();
        for (name, source) in sources {
            let Some(slot) = known.iter().find(|slot| slot.name == name) else {
                let names: Vec<&str> = known.iter().map(|slot| slot.name).collect();
                let names = names.join("`, `");
                return Err(error(format!("{name:?} is none of `{names}`")));
            };
            let template = MessageTemplate::parse(slot.name, source)
                .map_err(|problem| error(one_line(&problem.to_string(), MAX_ERROR_CHARS)))?;
            compiled.push(Compiled {
                slot: *slot,
                template: Arc::new(template),
                has_failed: Arc::default(),
            });
        }
        Ok(Self {
            compiled,
            files: files.clone(),
        })
    }

    /// Expands every template.
    pub(super) fn render(&self, message: &Message) -> Rendered {
        let mut rendered = Rendered::default();
        if self.compiled.is_empty() {
            return rendered;
        }
        let data = data::data(message);
        let now_ms = data::now_ms(message);
        for compiled in &self.compiled {
            match compiled.render(&data, &self.files, now_ms) {
                Ok(text) => {
                    rendered.texts.insert(compiled.slot.name, text);
                }
                Err(error) => {
                    if !compiled.has_failed.swap(true, Ordering::Relaxed) {
                        let template = compiled.slot.name;
                        tracing::warn!(template, %error, "an alert's template failed");
                    }
                    if rendered.note.is_empty() {
                        rendered.note = format!("A template failed: {error}");
                    }
                }
            }
        }
        rendered
    }
}

impl Compiled {
    /// Returns the text, or the reason why the text cannot be sent.
    fn render(&self, data: &Value, files: &TemplateFiles, now_ms: i64) -> Result<String, String> {
        let libraries = files.libraries();
        let inputs = MessageInputs {
            libraries: &libraries,
            now_ms,
            escape: self.slot.escape,
        };
        let text = self.template.expand(data, inputs);
        let text = text.map_err(|error| one_line(&error.to_string(), MAX_ERROR_CHARS))?;
        let name = self.slot.name;
        if text.trim().is_empty() && !self.slot.may_be_blank {
            return Err(format!("{name} gave an empty text"));
        }
        match self.slot.escape {
            Escape::Plain | Escape::Slack => Ok(text),
            // HTML that is cut is broken.
            #[cfg(any(test, feature = "email"))]
            Escape::Html if text.len() > MAX_HTML_BYTES => Err(format!(
                "{name} gave more than {MAX_HTML_BYTES} bytes of HTML"
            )),
            #[cfg(any(test, feature = "email"))]
            Escape::Html => Ok(text),
            Escape::Json => match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
                Ok(_) => Ok(text),
                Err(error) => Err(format!("{name} gave no JSON: {error}")),
            },
        }
    }
}

impl Rendered {
    /// The text of this name, if a template gave the text.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests;
