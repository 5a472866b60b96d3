//! The body of a Slack message.
//!
//! It is one attachment, since only that has a colour. Foreign text stands where Slack does not format it (title,
//! fields); in the text, which has our links, it is kept from being formatted.

use serde::Serialize;

use super::{
    super::{
        Message, Status,
        content::{Content, ContentAlert, ContentLabel, MAX_TITLE_CHARS, lines, one_line},
        template::{Rendered, slack_escaped},
    },
    SlackOptions,
    options::is_emoji,
};
use crate::alerting::Severity;

/// Characters of a text: what a section of Slack's takes. An attachment shows 700 of them before "Show more".
const MAX_TEXT_CHARS: usize = 3_000;
/// Characters of a footer (Slack's own SDK refuses more).
const MAX_FOOTER_CHARS: usize = 300;
/// Fields: beyond these nobody reads.
const MAX_FIELDS: usize = 10;
/// A field up to this wide shares its line with another.
const SHORT_FIELD_CHARS: usize = 30;

/// What is posted.
#[derive(Debug, Serialize)]
pub(super) struct Body<'m> {
    #[serde(skip_serializing_if = "str::is_empty")]
    channel: &'m str,
    #[serde(skip_serializing_if = "str::is_empty")]
    username: &'m str,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon_emoji: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon_url: Option<&'m str>,
    attachments: [Attachment; 1],
}

#[derive(Debug, Serialize)]
struct Attachment {
    fallback: String,
    color: &'static str,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title_link: Option<String>,
    text: String,
    fields: Vec<Field>,
    footer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<i64>,
    mrkdwn_in: [&'static str; 1],
}

#[derive(Debug, Serialize)]
struct Field {
    title: String,
    value: String,
    short: bool,
}

/// The message as Slack takes it.
pub(super) fn body<'m>(
    message: &Message,
    options: &'m SlackOptions,
    rendered: &Rendered,
) -> Body<'m> {
    let content = Content::new(message, options.max_alerts);
    // What a template gives is escaped already.
    let title = rendered.get("title").map_or_else(
        || escaped(&content.title, MAX_TITLE_CHARS),
        |title| cut(&one_line(title, MAX_TITLE_CHARS)),
    );
    let link = content.links.iter().find(|link| link.label == "Dashboard");
    let fallback = rendered.get("fallback").map_or_else(
        || title.clone(),
        |text| cut(&one_line(text, MAX_TITLE_CHARS)),
    );
    let footer = if rendered.note.is_empty() {
        options.username.as_str()
    } else {
        rendered.note.as_str()
    };
    let icon = options.icon.as_deref();
    Body {
        channel: &options.channel,
        username: &options.username,
        icon_emoji: icon.filter(|icon| is_emoji(icon)),
        icon_url: icon.filter(|icon| !is_emoji(icon)),
        attachments: [Attachment {
            fallback,
            color: colour(message),
            title,
            title_link: link.map(|link| link.url.clone()),
            text: rendered
                .get("text")
                .map_or_else(|| text(&content), |text| cut(&lines(text, MAX_TEXT_CHARS))),
            fields: fields(&content),
            footer: escaped(footer, MAX_FOOTER_CHARS),
            ts: moment(message).map(|ms| ms.div_euclid(1_000)),
            mrkdwn_in: ["text"],
        }],
    }
}

/// The seed's colours.
fn colour(message: &Message) -> &'static str {
    match (message.status, message.severity) {
        (Status::Firing, Severity::Critical | Severity::Error) => "#ff0000",
        (Status::Firing, Severity::Warning) => "#ff9500",
        (Status::Firing, Severity::Info) | (Status::Resolved, _) => "#36a64f",
    }
}

/// When the first alert began, or the last one was over.
fn moment(message: &Message) -> Option<i64> {
    let alerts = message.alerts.iter().map(|alert| &alert.alert);
    match message.status {
        Status::Firing => alerts.map(|alert| alert.starts_at).min(),
        Status::Resolved => alerts.map(|alert| alert.ends_at).max(),
    }
}

fn fields(content: &Content) -> Vec<Field> {
    let severity = ContentLabel {
        name: "severity".to_owned(),
        value: content.severity.to_owned(),
    };
    let labels = std::iter::once(&severity).chain(&content.labels);
    let field = |label: &ContentLabel| Field {
        short: label.value.chars().count() <= SHORT_FIELD_CHARS,
        title: slack_escaped(&label.name),
        value: slack_escaped(&label.value),
    };
    labels.take(MAX_FIELDS).map(field).collect()
}

/// Why, what, which alerts, and where to go: the last is never cut.
fn text(content: &Content) -> String {
    let links: Vec<String> = content
        .links
        .iter()
        .map(|link| format!("<{}|{}>", slack_escaped(&link.url), link.label))
        .collect();
    let links = links.join(" · ");
    let mut room = MAX_TEXT_CHARS.saturating_sub(links.chars().count() + 1);
    let mut parts: Vec<String> = [&content.why, &content.summary, &content.description]
        .into_iter()
        .filter(|text| !text.is_empty())
        .map(|text| harmless(text))
        .collect();
    // One alert's own labels are the group's: its line would say nothing but the time.
    parts.extend(content.alerts.iter().map(line));
    let mut text = String::new();
    let mut left_out = content.more;
    let alerts_begin = parts.len() - content.alerts.len();
    for (at, part) in parts.iter().enumerate() {
        let length = part.chars().count() + 1;
        // Room for the line that says how many are missing.
        if length + 20 > room {
            left_out += parts.len() - at.max(alerts_begin);
            break;
        }
        room -= length;
        text.push_str(part);
        text.push('\n');
    }
    if left_out > 0 {
        text.extend(["and ", &left_out.to_string(), " more\n"]);
    }
    text.push_str(&links);
    text.trim_end().to_owned()
}

fn line(alert: &ContentAlert) -> String {
    let labels = alert.labels.iter();
    let labels: Vec<String> = labels
        .map(|label| format!("{}={}", label.name, label.value))
        .collect();
    let value = if alert.value.is_empty() {
        String::new()
    } else {
        format!("value {}", alert.value)
    };
    let parts = [
        labels.join(" "),
        value,
        alert.summary.clone(),
        // One line for each alert.
        one_line(&alert.description, 300),
    ];
    let parts = parts.iter().filter(|part| !part.is_empty());
    let parts: Vec<String> = parts.map(|part| harmless(part)).collect();
    let start = format!("• {} {}", alert.status.as_str(), alert.when);
    std::iter::once(start)
        .chain(parts)
        .collect::<Vec<_>>()
        .join(" — ")
}

/// Escaped, and not formatted: a formatting character acts only at the edge of a word, and not behind a space that
/// has no width. Inside a word (`llama_7b`) it is left alone, so that names can be copied.
fn harmless(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let is_word = |at: Option<usize>| {
        at.and_then(|at| chars.get(at))
            .is_some_and(|c| c.is_alphanumeric())
    };
    let mut harmless = String::with_capacity(text.len());
    for (at, c) in chars.iter().enumerate() {
        let is_line_start = at == 0 || chars[at - 1] == '\n';
        let acts = match c {
            '*' | '_' | '~' | '`' => !(is_word(at.checked_sub(1)) && is_word(Some(at + 1))),
            '>' => is_line_start,
            _ => false,
        };
        if acts {
            harmless.push('\u{200b}');
        }
        harmless.push(*c);
    }
    slack_escaped(&harmless)
}

/// Escaped, and not longer than `max_chars` for it.
fn escaped(text: &str, max_chars: usize) -> String {
    let mut text = text.to_owned();
    loop {
        let escaped = slack_escaped(&text);
        let over = escaped.chars().count().saturating_sub(max_chars);
        if over == 0 {
            return escaped;
        }
        // An entity is five characters at most: this many fewer can never be too few characters twice.
        let fewer = text.chars().count().saturating_sub(over.div_ceil(5).max(1));
        text = one_line(&text, fewer);
    }
}

/// A cut must not leave half an entity behind.
fn cut(text: &str) -> String {
    let Some(body) = text.strip_suffix('…') else {
        return text.to_owned();
    };
    match body.rfind('&') {
        Some(at) if !body[at..].contains(';') => format!("{}…", &body[..at]),
        _ => text.to_owned(),
    }
}
