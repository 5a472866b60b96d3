//! Turns `{{ $value | humanize }} of {{ $labels.model_id }}` into text: Go's `text/template` as Prometheus uses it.
//!
//! A template is read once, when its rule is loaded: text → `lexer` → `parser` → `ast`. Expanding it walks the tree
//! (`exec`); `functions` are Prometheus's, `builtins` are Go's, `format` is Go's `fmt`. What Go's template knows and
//! no alert can hold (channels, complex numbers, methods other than those of a time) is left out.
//!
//! Nothing a template says can panic, run long or grow large: nesting, steps and output are limited. A template that
//! fails gives [`TemplateError`], and the caller puts its text where the value would have been.

mod ast;
mod builtins;
mod compare;
mod escape;
mod exec;
mod float;
mod format;
mod functions;
mod humanize;
mod lexer;
mod network;
mod number;
mod parser;
mod printf;
#[cfg(test)]
mod tests;
mod time;
mod value;

use crate::query::Labels;
use crate::query::engine::QueryError;
use crate::query::engine::VectorSample;

pub(crate) use self::escape::table_link;

/// A value as Prometheus's API writes it: `1e+00`.
pub(crate) fn value_text(value: f64) -> String {
    float::exponent(value, None)
}

/// Bytes that one expanded template may have.
pub(crate) const MAX_OUTPUT_BYTES: usize = 64 << 10;
/// Bytes that the text of one template may have.
const MAX_TEXT_BYTES: usize = 64 << 10;

/// What Prometheus puts before every template: the variables are easier to remember than fields. Parsed with the
/// text, so that the places in errors are Prometheus's.
const VARIABLES: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}\
                         {{$externalURL := .ExternalURL}}{{$value := .Value}}";

/// A template that has been read.
#[derive(Debug)]
pub(crate) struct Template {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Most are plain text: nothing to expand.
    Plain(String),
    Tree(Box<ast::Tree>),
}

/// Why a template cannot be read or expanded, as Go words it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct TemplateError(pub(super) String);

/// What an expansion sees.
pub(crate) struct Context<'a> {
    /// The labels of the element, its name included.
    pub(crate) labels: &'a Labels,
    /// The value of the element.
    pub(crate) value: f64,
    /// What does not change from element to element.
    pub(crate) shared: &'a Shared<'a>,
}

/// What an expansion sees that does not change from element to element.
pub(crate) struct Shared<'a> {
    /// Labels that identify this process to others.
    pub(crate) external_labels: &'a Labels,
    /// Where this process is reached from outside.
    pub(crate) external_url: &'a str,
    /// Answers `query`.
    pub(crate) query: &'a dyn Fn(&str) -> Result<Vec<VectorSample>, QueryError>,
}

impl Template {
    /// Reads a template of an alert.
    pub(crate) fn parse(alert: &str, text: &str) -> Result<Self, TemplateError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(TemplateError(format!(
                "template has {} bytes, the limit is {MAX_TEXT_BYTES}",
                text.len()
            )));
        }
        if !text.contains("{{") {
            return Ok(Self {
                kind: Kind::Plain(text.to_owned()),
            });
        }
        let tree = parser::parse(format!("__alert_{alert}"), format!("{VARIABLES}{text}"))?;
        Ok(Self {
            kind: Kind::Tree(Box::new(tree)),
        })
    }

    /// Returns the text of a template that has nothing to expand.
    pub(crate) fn as_plain(&self) -> Option<&str> {
        match &self.kind {
            Kind::Plain(text) => Some(text),
            Kind::Tree(_) => None,
        }
    }

    /// Expands the template.
    pub(crate) fn expand(&self, context: &Context<'_>) -> Result<String, TemplateError> {
        match &self.kind {
            Kind::Plain(text) => Ok(text.clone()),
            Kind::Tree(tree) => exec::expand(tree, context).map_err(|TemplateError(message)| {
                TemplateError(format!("error executing template {}: {message}", tree.name))
            }),
        }
    }

    /// Expands the template; where that fails, into what Prometheus then writes.
    pub(crate) fn expand_or_say_why(&self, context: &Context<'_>) -> String {
        self.expand(context)
            .unwrap_or_else(|error| format!("<error expanding template: {error}>"))
    }
}
