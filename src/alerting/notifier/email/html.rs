//! The HTML of a mail: a template of ours, escaped by the same machinery as the operator's.

use minijinja::value::{Serde, Value};
use serde::Serialize;

use super::super::{
    content::Content,
    template::{Escape, Rendered, Slot, render},
};

/// The default, which is also a start for one of the operator's.
const DEFAULT: &str = include_str!("default.html");
/// Bytes of a template's HTML: ten times what Gmail shows of a mail.
const MAX_HTML_BYTES: usize = 1_000_000;

const SLOT: Slot = Slot {
    name: "html",
    escape: Escape::Html,
};

#[derive(Serialize)]
struct Page<'c> {
    #[serde(flatten)]
    content: &'c Content,
    note: &'c str,
}

/// The operator's HTML, or ours with a note of what was wrong with theirs.
pub(super) fn of(content: &Content, rendered: &Rendered) -> String {
    let mut note = rendered.note.clone();
    match rendered.get("html") {
        // To cut HTML would be to break it.
        Some(html) if html.len() > MAX_HTML_BYTES => {
            note = format!("A template failed: html is longer than {MAX_HTML_BYTES} bytes");
        }
        Some(html) => return html.to_owned(),
        None => {}
    }
    let page = Value::from(Serde(Page {
        content,
        note: &note,
    }));
    // Ours cannot fail, as the tests show; the title is better than nothing if it did.
    render(SLOT, DEFAULT, &page).unwrap_or_else(|error| {
        tracing::error!(%error, "the mail's own template failed");
        let title = minijinja::HtmlEscape(&content.title);
        format!("<p>{title}</p>")
    })
}
