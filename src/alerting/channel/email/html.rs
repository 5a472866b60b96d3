//! The HTML of a mail: a template of ours, escaped by the same machinery as the operator's.

use minijinja::value::{Serde, Value};
use serde::Serialize;

use super::super::{
    content::{Content, cleaned},
    template::{Blank, Escape, Rendered, Slot, render},
};

/// The default, which is also a start for one of the operator's.
const DEFAULT: &str = include_str!("default.html");

const SLOT: Slot = Slot {
    name: "html",
    escape: Escape::Html,
    blank: Blank::Refused,
};

#[derive(Serialize)]
struct Page<'c> {
    #[serde(flatten)]
    content: &'c Content,
    note: &'c str,
}

/// The operator's HTML, or ours with a note of what was wrong with theirs.
pub(super) fn of(content: &Content, rendered: &Rendered) -> String {
    if let Some(html) = rendered.get("html") {
        return cleaned(html);
    }
    let page = Value::from(Serde(Page {
        content,
        note: &rendered.note,
    }));
    // Ours cannot fail, as the tests show; the title is better than nothing if it did.
    render(SLOT, DEFAULT, &page).unwrap_or_else(|error| {
        tracing::error!(%error, "the mail's own template failed");
        let title = minijinja::HtmlEscape(&content.title);
        format!("<p>{title}</p>")
    })
}
