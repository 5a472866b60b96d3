//! Builds the HTML of a mail with a template of this crate, in the template language of the operator's own.

use std::sync::OnceLock;

use super::super::{
    content::{Content, ContentAlert, ContentLabel, cleaned},
    template::{Escape, Rendered},
};
use crate::alerting::template::{
    Field, ListKind, MessageInputs, MessageTemplate, TemplateError, Value, html_escaped,
};

/// The source of the page.
const PAGE: &str = include_str!("default.html");

/// The operator's HTML. Without it, or if the operator's template failed, this crate's page, with a note of the failure.
pub(super) fn html(content: &Content, rendered: &Rendered) -> String {
    if let Some(html) = rendered.get("html") {
        return cleaned(html);
    }
    // Tests expand the page; if it failed all the same, the title would be better than no mail.
    page(content, &rendered.note).unwrap_or_else(|error| {
        tracing::error!(%error, "the mail's own template failed");
        format!("<p>{}</p>", html_escaped(&content.title))
    })
}

fn page(content: &Content, note: &str) -> Result<String, TemplateError> {
    static TEMPLATE: OnceLock<Result<MessageTemplate, TemplateError>> = OnceLock::new();
    let template = TEMPLATE.get_or_init(|| MessageTemplate::parse("default.html", PAGE.trim_end()));
    let inputs = MessageInputs {
        libraries: &[],
        now_ms: 0,
        escape: Escape::Html,
    };
    template
        .as_ref()
        .map_err(Clone::clone)?
        .expand(&data(content, note), inputs)
}

fn data(content: &Content, note: &str) -> Value {
    let links = content.links.iter().map(|link| {
        object([
            ("Label", Value::text(link.label)),
            ("URL", Value::text(&*link.url)),
        ])
    });
    let is_firing = content.status == crate::alerting::MessageStatus::Firing;
    let class = if is_firing {
        content.severity
    } else {
        content.status.as_str()
    };
    object([
        ("Title", Value::text(&*content.title)),
        ("Class", Value::text(class)),
        ("Reason", Value::text(&*content.reason)),
        ("Summary", Value::text(&*content.summary)),
        ("Description", Value::text(&*content.description)),
        ("Labels", labels(&content.labels)),
        ("Alerts", list(content.alerts.iter().map(alert))),
        ("More", Value::size(content.more)),
        ("Links", list(links)),
        ("Note", Value::text(note)),
    ])
}

fn alert(alert: &ContentAlert) -> Value {
    object([
        ("Status", Value::text(alert.status.as_str())),
        ("When", Value::text(&*alert.when)),
        ("Summary", Value::text(&*alert.summary)),
        ("Description", Value::text(&*alert.description)),
        ("Labels", labels(&alert.labels)),
        ("Value", Value::text(&*alert.value)),
    ])
}

fn labels(labels: &[ContentLabel]) -> Value {
    list(labels.iter().map(|label| {
        object([
            ("Name", Value::text(&*label.name)),
            ("Value", Value::text(&*label.value)),
        ])
    }))
}

fn object<const N: usize>(fields: [(&'static str, Value); N]) -> Value {
    let fields = fields.map(|(name, value)| Field::new(name, name, value));
    Value::object("content", fields.into())
}

fn list(items: impl Iterator<Item = Value>) -> Value {
    Value::list(ListKind::Other("[]content"), items)
}
