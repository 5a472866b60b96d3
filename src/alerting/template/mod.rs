//! Expands the templates of rules and notifications: `{{ $value | humanize }} of {{ .Labels.model_id }}`.
//!
//! The language is Go's `text/template` with the functions of Prometheus for rules and of Alertmanager for
//! notifications. A template is parsed once, when its rule, channel or file is loaded: text → `lexer` → `parser` →
//! `ast`. An expansion executes the tree (`exec`); `functions` are Prometheus's and Alertmanager's, `builtins` are
//! Go's, `members` are the fields and methods of values, `format` is Go's `fmt`, `layout` is Go's `time.Format`.
//! Channels and complex numbers of Go are left out, since an alert has no such values.
//!
//! No template panics, runs long or grows large: nesting, work and output are limited. A template that fails gives a
//! [`TemplateError`]. A rule writes the error in place of the value; a channel sends its own text with a note.

mod ast;
mod builtins;
mod compare;
mod escape;
mod exec;
mod float;
mod format;
mod functions;
mod humanize;
mod json;
mod layout;
mod lexer;
mod library;
mod members;
mod network;
mod number;
mod parser;
mod printf;
#[cfg(test)]
mod tests;
mod time;
mod value;

use self::exec::{Inputs, Limits};
use self::functions::Dialect;
use crate::query::Labels;
use crate::query::engine::QueryError;
use crate::query::engine::VectorSample;

#[cfg(feature = "email")]
pub(in crate::alerting) use self::escape::html as html_escaped;
pub(crate) use self::escape::{quoted, table_link};
pub(in crate::alerting) use self::{
    escape::{Escape, slack as slack_escaped},
    library::Library,
    time::ZERO_TIME_MS,
    value::{Field, ListKind, Value},
};

/// A value as Prometheus's API writes it: `1e+00`.
pub(crate) fn value_text(value: f64) -> String {
    float::exponent(value, None)
}

/// Limits of a rule's template, which is expanded for each element of each evaluation.
const RULE_LIMITS: Limits = Limits {
    work_units: 200_000,
    output_bytes: MAX_OUTPUT_BYTES,
};
/// Limits of a notification's template: a webhook's body has room for a group of 10,000 alerts.
const MESSAGE_LIMITS: Limits = Limits {
    work_units: 2_000_000,
    output_bytes: 16 << 20,
};
/// Bytes of the expanded template of a rule.
pub(crate) const MAX_OUTPUT_BYTES: usize = 64 << 10;
/// Bytes of the source of a rule's template.
const MAX_RULE_SOURCE_BYTES: usize = 64 << 10;
/// Bytes of the source of a notification's template, and of a file of templates.
const MAX_MESSAGE_SOURCE_BYTES: usize = 1 << 20;

/// The variables that Prometheus puts before every template. They are parsed with the text, so that the places in errors
/// are Prometheus's.
const VARIABLES: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}\
                         {{$externalURL := .ExternalURL}}{{$value := .Value}}";

/// The parsed template of a rule's label or annotation.
#[derive(Debug)]
pub(crate) struct Template {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// A text without actions, as most labels are.
    Plain(String),
    Tree(Box<ast::Tree>),
}

/// An error of parsing or expanding a template, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct TemplateError(pub(super) String);

/// The data of a rule's template.
pub(crate) struct Context<'a> {
    /// The labels of the element, with the name of its metric.
    pub(crate) labels: &'a Labels,
    /// The value of the element.
    pub(crate) value: f64,
    /// The data that all elements share.
    pub(crate) shared: &'a Shared<'a>,
}

/// The data that the templates of all elements share.
pub(crate) struct Shared<'a> {
    /// Labels that identify this process to other systems.
    pub(crate) external_labels: &'a Labels,
    /// The URL of this process for browsers.
    pub(crate) external_url: &'a str,
    /// Answers the function `query`.
    pub(crate) query: &'a dyn Fn(&str) -> Result<Vec<VectorSample>, QueryError>,
}

/// The parsed template of a text of a notification.
#[derive(Debug)]
pub(in crate::alerting) struct MessageTemplate {
    tree: ast::Tree,
}

/// The inputs of a notification's template besides the data.
#[derive(Clone, Copy, Debug)]
pub(in crate::alerting) struct MessageInputs<'a> {
    /// Templates that the text may call beside its own, the first library first.
    pub(in crate::alerting) libraries: &'a [&'a Library],
    /// The time that `since` counts to, in milliseconds since the epoch.
    pub(in crate::alerting) now_ms: i64,
    /// The escaping of values that actions write.
    pub(in crate::alerting) escape: Escape,
}

fn check_length(source: &str, max_bytes: usize) -> Result<(), TemplateError> {
    let length = source.len();
    if length > max_bytes {
        return Err(TemplateError(format!(
            "template has {length} bytes, the limit is {max_bytes}"
        )));
    }
    Ok(())
}

impl Template {
    /// Parses a template of an alert.
    pub(crate) fn parse(alert: &str, text: &str) -> Result<Self, TemplateError> {
        check_length(text, MAX_RULE_SOURCE_BYTES)?;
        if !text.contains("{{") {
            return Ok(Self {
                kind: Kind::Plain(text.to_owned()),
            });
        }
        let name = format!("__alert_{alert}");
        let tree = parser::parse(name, format!("{VARIABLES}{text}"), Dialect::Rule)?;
        Ok(Self {
            kind: Kind::Tree(Box::new(tree)),
        })
    }

    /// Returns the text of a template without actions.
    pub(crate) fn as_plain(&self) -> Option<&str> {
        match &self.kind {
            Kind::Plain(text) => Some(text),
            Kind::Tree(_) => None,
        }
    }

    /// Expands the template.
    pub(crate) fn expand(&self, context: &Context<'_>) -> Result<String, TemplateError> {
        let tree = match &self.kind {
            Kind::Plain(text) => return Ok(text.clone()),
            Kind::Tree(tree) => tree,
        };
        let inputs = Inputs {
            rule: Some(context),
            libraries: &[],
            now_ms: 0,
            escape: Escape::Plain,
            nil_text: "<no value>",
            limits: RULE_LIMITS,
        };
        exec::execute(tree, &Value::Root, &inputs).map_err(|TemplateError(message)| {
            TemplateError(format!("error executing template {}: {message}", tree.name))
        })
    }

    /// Expands the template. Writes Prometheus's error text if the template fails.
    pub(crate) fn expand_or_error_text(&self, context: &Context<'_>) -> String {
        self.expand(context)
            .unwrap_or_else(|error| format!("<error expanding template: {error}>"))
    }
}

impl MessageTemplate {
    /// Parses a template; `name` stands for it in errors.
    pub(in crate::alerting) fn parse(name: &str, source: &str) -> Result<Self, TemplateError> {
        check_length(source, MAX_MESSAGE_SOURCE_BYTES)?;
        let tree = parser::parse(name.to_owned(), source.to_owned(), Dialect::Message)?;
        Ok(Self { tree })
    }

    /// Expands the template with the data as its dot.
    pub(in crate::alerting) fn expand(
        &self,
        data: &Value,
        inputs: MessageInputs<'_>,
    ) -> Result<String, TemplateError> {
        let inputs = Inputs {
            rule: None,
            libraries: inputs.libraries,
            now_ms: inputs.now_ms,
            escape: inputs.escape,
            nil_text: "",
            limits: MESSAGE_LIMITS,
        };
        exec::execute(&self.tree, data, &inputs)
    }
}
