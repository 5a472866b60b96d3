//! Texts of the operator's own instead of a channel's: minijinja templates over the group of alerts.
//!
//! A template that does not parse is refused with the configuration. One that fails when it meets an alert costs
//! nobody the message: the channel's own text is sent, with a note of what was wrong. `docs/alert-templates.md` lists
//! the texts of each channel and the data.

mod data;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use minijinja::{
    AutoEscape, Environment, Error, Output, State, Value,
    value::{Serde, ValueKind},
};

use self::data::Data;
use super::{Message, content::one_line};
use crate::alerting::RoutingError;

/// Steps that a template may take: a loop over all alerts of a large group fits, one that has no end does not.
const MAX_STEPS: u64 = 1_000_000;
/// Characters of a template's error that are shown.
const MAX_ERROR_CHARS: usize = 300;
/// Bytes of HTML that a template may give: ten times what Gmail shows of a mail.
#[cfg(any(test, feature = "email"))]
const MAX_HTML_BYTES: usize = 1_000_000;

/// A text that can be overridden, and how values are escaped in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) name: &'static str,
    pub(super) escape: Escape,
    pub(super) blank: Blank,
}

/// Whether a text may say nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blank {
    /// It may: what is around it says enough.
    Allowed,
    /// It may not: a page without a summary is refused for good, and a mail without a subject is not read.
    Refused,
}

/// How a value becomes part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// As it is.
    Plain,
    /// For HTML.
    #[cfg(any(test, feature = "email"))]
    Html,
    /// As JSON: quoted, unless it is marked safe.
    Json,
    /// For Slack: `&`, `<` and `>` as entities.
    Slack,
}

/// A channel's templates, checked.
#[derive(Clone, Debug, Default)]
pub(super) struct Templates {
    compiled: Vec<Compiled>,
}

#[derive(Clone, Debug)]
struct Compiled {
    slot: Slot,
    source: Arc<str>,
    /// Whether its failure is in the log: once is enough, since each message has the note.
    has_failed: Arc<AtomicBool>,
}

/// The texts that templates gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rendered {
    texts: BTreeMap<&'static str, String>,
    /// What was wrong with those that are missing; empty when nothing was.
    pub(super) note: String,
}

impl Templates {
    /// Checks templates by the name of their text.
    pub(super) fn new(
        channel: &str,
        known: &[Slot],
        sources: &BTreeMap<String, String>,
    ) -> Result<Self, RoutingError> {
        let error = |problem: String| {
            RoutingError::new(format!("channel {channel:?}"), "templates", problem)
        };
        let mut compiled = Vec::new();
        for (name, source) in sources {
            let Some(slot) = known.iter().find(|slot| slot.name == name) else {
                let names: Vec<&str> = known.iter().map(|slot| slot.name).collect();
                let names = names.join("`, `");
                return Err(error(format!("{name:?} is none of `{names}`")));
            };
            environment(slot.escape)
                .template_from_named_str(slot.name, source)
                .map_err(|problem| error(explain(&problem)))?;
            compiled.push(Compiled {
                slot: *slot,
                source: Arc::from(source.as_str()),
                has_failed: Arc::default(),
            });
        }
        Ok(Self { compiled })
    }

    /// Fills every template in.
    pub(super) fn render(&self, message: &Message) -> Rendered {
        let mut rendered = Rendered::default();
        if self.compiled.is_empty() {
            return rendered;
        }
        let data = Value::from(Serde(Data::new(message)));
        for compiled in &self.compiled {
            match compiled.render(&data) {
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
    /// The text, or what is wrong with it.
    fn render(&self, data: &Value) -> Result<String, String> {
        let text = render(self.slot, &self.source, data).map_err(|error| explain(&error))?;
        let name = self.slot.name;
        if text.trim().is_empty() && self.slot.blank == Blank::Refused {
            return Err(format!("{name} gave an empty text"));
        }
        match self.slot.escape {
            Escape::Plain | Escape::Slack => Ok(text),
            // To cut HTML would be to break it.
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
    /// The text of this name, if a template gave one.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }
}

/// Fills one template in.
pub(super) fn render(slot: Slot, source: &str, data: &Value) -> Result<String, Error> {
    environment(slot.escape).render_named_str(slot.name, source, data)
}

fn environment(escape: Escape) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(MAX_STEPS));
    environment.set_auto_escape_callback(move |_| match escape {
        Escape::Plain => AutoEscape::None,
        #[cfg(any(test, feature = "email"))]
        Escape::Html => AutoEscape::Html,
        Escape::Json => AutoEscape::Json,
        Escape::Slack => AutoEscape::Custom("slack".into()),
    });
    environment.set_formatter(format);
    environment
}

fn format(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    if !matches!(state.auto_escape(), AutoEscape::Custom(_)) {
        return minijinja::escape_formatter(out, state, value);
    }
    let text = match value.kind() {
        ValueKind::Undefined | ValueKind::None => return Ok(()),
        _ => value.to_string(),
    };
    let text = if value.is_safe() {
        text
    } else {
        slack_escaped(&text)
    };
    out.write_str(&text).map_err(Error::from)
}

/// What Slack's documentation asks for, and nothing else: `&`, `<` and `>` as entities.
pub(super) fn slack_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

fn explain(error: &Error) -> String {
    one_line(&error.to_string(), MAX_ERROR_CHARS)
}

#[cfg(test)]
mod tests;
