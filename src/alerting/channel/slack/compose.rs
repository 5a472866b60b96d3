//! Builds the body of a Slack message.
//!
//! The body has one attachment, since only attachments have a colour. Slack does not format titles and fields. In the
//! text, which Slack formats, formatting characters of labels and annotations are made ineffective.

use serde::Serialize;

use super::{
    super::{
        Message, MessageStatus,
        content::{Content, ContentAlert, ContentLabel, MAX_TITLE_CHARS, lines, one_line},
        template::Rendered,
    },
    SlackOptions,
    options::is_emoji,
};
use crate::alerting::{Severity, template::slack_escaped};

/// Characters of a text: the limit of a section in Slack. An attachment shows 700 of them before "Show more".
const MAX_TEXT_CHARS: usize = 3_000;
/// Characters of the text for the links.
const MAX_LINKS_CHARS: usize = MAX_TEXT_CHARS / 2;
/// Characters of the text for each of reason, summary and description.
const MAX_HEAD_CHARS: usize = 800;
/// Characters of the text for one alert; its labels take half of them at most.
const MAX_LINE_CHARS: usize = 300;
/// Characters of the text for the line with the number of alerts that are left out.
const MAX_MORE_CHARS: usize = 20;
/// Separates two links.
const BETWEEN_LINKS: &str = " · ";
/// Characters of a footer (Slack's own SDK refuses more).
const MAX_FOOTER_CHARS: usize = 300;
/// Fields of an attachment.
const MAX_FIELDS: usize = 10;
/// Characters of a field that shares its line with another field.
const SHORT_FIELD_CHARS: usize = 30;

/// The body of the request.
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

/// Builds the body.
pub(super) fn body<'m>(
    message: &Message,
    options: &'m SlackOptions,
    rendered: &Rendered,
) -> Body<'m> {
    let content = Content::new(message, options.max_alerts);
    // The texts of templates are escaped already.
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
            ts: timestamp_ms(message).map(|ms| ms.div_euclid(1_000)),
            mrkdwn_in: ["text"],
        }],
    }
}

/// The colour of the bar: red, orange or green.
fn colour(message: &Message) -> &'static str {
    match (message.status, message.severity) {
        (MessageStatus::Firing, Severity::Critical | Severity::Error) => "#ff0000",
        (MessageStatus::Firing, Severity::Warning) => "#ff9500",
        (MessageStatus::Firing, Severity::Info) | (MessageStatus::Resolved, _) => "#36a64f",
    }
}

/// The start of the first alert, or the end of the last alert of a resolved group.
fn timestamp_ms(message: &Message) -> Option<i64> {
    let alerts = message.alerts.iter().map(|alert| &alert.alert);
    match message.status {
        MessageStatus::Firing => alerts.map(|alert| alert.starts_at).min(),
        MessageStatus::Resolved => alerts.map(|alert| alert.ends_at).max(),
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

/// Writes the reason, the summary, the alerts and the links. Each part has a limit, so that a long part displaces no other.
fn text(content: &Content) -> String {
    let links = links(content);
    let mut room = MAX_TEXT_CHARS - MAX_MORE_CHARS - links.chars().count() - 1;
    let mut text = String::new();
    let mut add = |part: &str| {
        let length = part.chars().count() + 1;
        let has_room = length <= room;
        if has_room {
            room -= length;
            text.extend([part, "\n"]);
        }
        has_room
    };
    for part in [&content.reason, &content.summary, &content.description] {
        if !part.is_empty() {
            add(&shortened(part, MAX_HEAD_CHARS, unformatted));
        }
    }
    let mut left_out = content.more;
    for alert in &content.alerts {
        if !add(&line(alert)) {
            left_out += 1;
        }
    }
    if left_out > 0 {
        text.extend(["and ", &left_out.to_string(), " more\n"]);
    }
    text.push_str(&links);
    text.trim_end().to_owned()
}

/// Writes as many whole links as the limit allows.
fn links(content: &Content) -> String {
    let mut links = String::new();
    for link in &content.links {
        let link = format!("<{}|{}>", slack_escaped(&link.url), link.label);
        let between = if links.is_empty() { "" } else { BETWEEN_LINKS };
        let length = [&links, between, &link].map(|text| text.chars().count());
        if length.iter().sum::<usize>() <= MAX_LINKS_CHARS {
            links.extend([between, &link]);
        }
    }
    links
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
        format!("• {} {}", alert.status.as_str(), alert.when),
        one_line(&labels.join(" "), MAX_LINE_CHARS / 2),
        value,
        alert.summary.clone(),
        // Each alert has one line.
        one_line(&alert.description, MAX_LINE_CHARS),
    ];
    let parts = parts.iter().filter(|part| !part.is_empty());
    let parts: Vec<&str> = parts.map(String::as_str).collect();
    shortened(&parts.join(" — "), MAX_LINE_CHARS, unformatted)
}

/// Escapes a text and keeps Slack from formatting it: a formatting character has an effect only at the edge of a word,
/// and not after a zero-width space. Inside a word (`llama_7b`) the text stays as it is, so that names can be copied.
fn unformatted(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let is_word = |at: Option<usize>| {
        at.and_then(|at| chars.get(at))
            .is_some_and(|c| c.is_alphanumeric())
    };
    let mut unformatted = String::with_capacity(text.len());
    for (at, c) in chars.iter().enumerate() {
        let is_line_start = at == 0 || chars[at - 1] == '\n';
        let has_effect = match c {
            '*' | '_' | '~' | '`' => !(is_word(at.checked_sub(1)) && is_word(Some(at + 1))),
            '>' => is_line_start,
            _ => false,
        };
        if has_effect {
            unformatted.push('\u{200b}');
        }
        unformatted.push(*c);
    }
    slack_escaped(&unformatted)
}

/// Escapes a text, and shortens the text until the result has at most `max_chars`.
fn escaped(text: &str, max_chars: usize) -> String {
    shortened(text, max_chars, slack_escaped)
}

fn shortened(text: &str, max_chars: usize, escape: impl Fn(&str) -> String) -> String {
    let mut text = text.to_owned();
    loop {
        let escaped = escape(&text);
        let excess = escaped.chars().count().saturating_sub(max_chars);
        if excess == 0 {
            return escaped;
        }
        // Escaping makes at most five characters of one.
        let length = text.chars().count().saturating_sub(excess.div_ceil(5));
        text = lines(&text, length);
    }
}

/// Removes half an entity or half a link at the end of a text that was cut.
fn cut(text: &str) -> String {
    let Some(body) = text.strip_suffix('…') else {
        return text.to_owned();
    };
    let whole = before_open(before_open(body, '<', '>'), '&', ';');
    format!("{whole}…")
}

/// Returns the text before the last `begin` without an `end`. A `begin` before a space is a plain character.
fn before_open(text: &str, begin: char, end: char) -> &str {
    let Some(at) = text.rfind(begin) else {
        return text;
    };
    let rest = &text[at + begin.len_utf8()..];
    if rest.contains(end) || rest.starts_with(char::is_whitespace) {
        text
    } else {
        &text[..at]
    }
}
