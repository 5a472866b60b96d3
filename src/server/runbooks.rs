//! Serves `/runbooks`: a page for each default alert rule, with its queries in the configured prefix.
//!
//! The pages are the Markdown files in `docs/runbooks/`. They use headings, paragraphs, lists, code blocks and code
//! spans, and no other Markdown.

use std::fmt::Write as _;

use axum::{
    Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse as _, Response},
    routing::get,
};

use super::endpoints::{ServerState, escape};

macro_rules! runbooks {
    ($($id:ident)*) => {
        /// The rules, and their pages as Markdown.
        const RUNBOOKS: &[(&str, &str)] = &[$(
            (stringify!($id), include_str!(concat!("../../docs/runbooks/", stringify!($id), ".md"))),
        )*];
    };
}

runbooks! {
    alert_store_degraded
    authentication_failures
    cost_budget_daily
    cost_budget_hourly
    critical_error_rate
    critical_memory_usage
    critical_response_time
    exporter_failing
    high_cpu_usage
    high_error_rate
    high_memory_usage
    high_traffic
    inference_timeouts
    low_throughput
    model_inference_failures
    model_loading_failures
    notifications_failing
    performance_degradation
    runtime_blocked
    series_overflow
    slow_first_token
    system_health_degraded
    unpriced_inferences
}

/// The prefix of metric names in the pages.
const WRITTEN_PREFIX: &str = "llm_router_";

/// The content security policy: a style of this server, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn router() -> Router<ServerState> {
    Router::new()
        .route("/runbooks", get(list))
        .route("/runbooks/style.css", get(style))
        .route("/runbooks/{rule}", get(page))
}

async fn style() -> Response {
    let kind = [(header::CONTENT_TYPE, "text/css; charset=utf-8")];
    (kind, include_str!("runbooks.css")).into_response()
}

async fn list() -> Response {
    let mut body = "<h1>Runbooks</h1>\n<ul>\n".to_owned();
    for (id, text) in RUNBOOKS {
        let title = text.lines().next().unwrap_or_default();
        let title = title.trim_start_matches("# ");
        // Writing to a string cannot fail.
        let _ = writeln!(
            body,
            "<li><a href=\"runbooks/{id}\">{title}</a> <code>{id}</code></li>"
        );
    }
    body.push_str("</ul>\n");
    document("Runbooks", "runbooks/", &body)
}

async fn page(State(state): State<ServerState>, Path(rule): Path<String>) -> Response {
    let Some((id, text)) = RUNBOOKS.iter().find(|(id, _)| *id == rule) else {
        let text = "there is no such runbook; /runbooks lists all of them\n";
        return (StatusCode::NOT_FOUND, text).into_response();
    };
    let text = text.replace(WRITTEN_PREFIX, state.sources.gatherer.registry.prefix());
    document(id, "", &html(&text))
}

fn document(title: &str, folder: &str, body: &str) -> Response {
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<link rel=\"stylesheet\" href=\"{folder}style.css\">\n<main>\n{body}</main>\n</html>\n"
    );
    let policy = [(header::CONTENT_SECURITY_POLICY, POLICY)];
    (policy, Html(page)).into_response()
}

/// Converts the Markdown of a page into HTML.
fn html(markdown: &str) -> String {
    let mut html = String::with_capacity(markdown.len() * 2);
    for block in markdown
        .split("\n\n")
        .map(str::trim)
        .filter(|block| !block.is_empty())
    {
        // Writing to a string cannot fail.
        let _ = if let Some(title) = block.strip_prefix("# ") {
            writeln!(html, "<h1>{}</h1>", spans(title))
        } else if let Some(title) = block.strip_prefix("## ") {
            writeln!(html, "<h2>{}</h2>", spans(title))
        } else if let Some(code) = block.strip_prefix("```promql\n") {
            writeln!(
                html,
                "<pre><code>{}</code></pre>",
                escape(code.trim_end_matches("\n```"))
            )
        } else if block.starts_with("- ") {
            writeln!(
                html,
                "<ul>{}</ul>",
                items(block, |line| line.strip_prefix("- "))
            )
        } else if block.starts_with("1. ") {
            writeln!(html, "<ol>{}</ol>", items(block, numbered))
        } else {
            writeln!(html, "<p>{}</p>", spans(block))
        };
    }
    html
}

/// Converts the items of a list; a line that begins no item continues the item before.
fn items(block: &str, begin: impl Fn(&str) -> Option<&str>) -> String {
    let mut html = String::new();
    let mut lines = block.lines().peekable();
    while let Some(line) = lines.next() {
        let mut item = begin(line).unwrap_or(line).to_owned();
        while let Some(next) = lines.next_if(|next| begin(next).is_none()) {
            item.push(' ');
            item.push_str(next.trim_start());
        }
        // Writing to a string cannot fail.
        let _ = write!(html, "<li>{}</li>", spans(&item));
    }
    html
}

fn numbered(line: &str) -> Option<&str> {
    let (number, rest) = line.split_once(". ")?;
    number.parse::<u8>().is_ok().then_some(rest)
}

/// Escapes text, and converts code spans.
fn spans(text: &str) -> String {
    let mut html = String::new();
    for (at, part) in text.split('`').enumerate() {
        let part = escape(part);
        if at % 2 == 1 {
            html.extend(["<code>", &part, "</code>"]);
        } else {
            html.push_str(&part);
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_becomes_html() {
        let text = "# A < b\n\nText with `code & more`,\ntwo lines.\n\n```promql\na > 1\n```\n\n- one\n  more\n- two\n\n1. first\n2. second\n";
        let expected = "<h1>A &lt; b</h1>\n<p>Text with <code>code &amp; more</code>,\ntwo lines.</p>\n\
            <pre><code>a &gt; 1</code></pre>\n<ul><li>one more</li><li>two</li></ul>\n\
            <ol><li>first</li><li>second</li></ol>\n";
        assert_eq!(html(text), expected);
    }
}
