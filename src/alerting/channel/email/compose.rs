//! Builds the mail: header, text and HTML.
//!
//! Two measures prevent header injection: a subject has no line breaks, and lettre encodes characters beyond ASCII. An
//! encoded word in a label is split, since mail programs would decode it. A body of short ASCII lines is sent as it is,
//! any other body as quoted-printable or base64; a line that is a full stop is doubled, so that it does not end the mail.

use std::time::{Duration, UNIX_EPOCH};

use lettre::message::{
    Message as Mail, MultiPart, SinglePart,
    header::{ContentType, HeaderName, HeaderValue},
};

use super::{
    super::{
        Message, MessageStatus,
        content::{Content, ContentAlert, ContentLabel, lines, one_line},
        hex, payload,
        template::Rendered,
    },
    Shared, html,
};
use crate::alerting::Severity;

/// Characters of a subject: mail programs show no more.
const MAX_SUBJECT_CHARS: usize = 200;
/// Bytes of the HTML of this crate's page: Gmail cuts HTML after 102 KB.
const MAX_HTML_BYTES: usize = 90_000;
/// Characters of the text of a template.
const MAX_TEXT_CHARS: usize = 100_000;

/// Builds the mail. All recipients get the same bytes, and all attempts if the message has its time.
pub(super) fn mail(
    message: &Message,
    shared: &Shared,
    rendered: &Rendered,
    now_ms: i64,
) -> Result<Vec<u8>, lettre::error::Error> {
    let (content, html) = fitting(message, shared.max_alerts, rendered);
    let text = rendered.get("text").map_or_else(
        || text(&content, &rendered.note),
        |text| lines(text, MAX_TEXT_CHARS),
    );
    let domain = shared.from.email.domain();
    let at_ms = match message.created_at {
        0 => now_ms,
        created_at => created_at,
    };
    let root = thread_id(message, at_ms, domain);
    // A retry has the id of the first attempt, so that a server can drop a duplicate. A repeated message has its own id.
    let mut mail = Mail::builder()
        .from(shared.from.clone())
        .subject(subject(&content.title))
        .message_id(Some(format!(
            "<{}.{at_ms}.{}@{domain}>",
            key(message),
            shared.channel
        )))
        .in_reply_to(root.clone())
        .references(root)
        .date(UNIX_EPOCH + Duration::from_millis(u64::try_from(at_ms).unwrap_or(0)));
    for to in &shared.to {
        mail = mail.to(to.clone());
    }
    let plain = SinglePart::builder().header(ContentType::TEXT_PLAIN);
    let rich = SinglePart::builder().header(ContentType::TEXT_HTML);
    // Mail programs prefer the last alternative.
    let mut mail = mail.multipart(
        MultiPart::alternative()
            .singlepart(plain.body(text))
            .singlepart(rich.body(html)),
    )?;
    let mut set = |name: &'static str, value: &str| {
        let name = HeaderName::new_from_ascii_str(name);
        mail.headers_mut()
            .insert_raw(HeaderValue::new(name, value.to_owned()));
    };
    // RFC 3834: suppresses automatic replies.
    set("Auto-Submitted", "auto-generated");
    if message.status == MessageStatus::Firing && message.severity == Severity::Critical {
        set("Importance", "high");
    }
    Ok(mail.formatted())
}

/// Returns the subject as one line, with the encoded words of labels split: lettre does not encode ASCII.
fn subject(title: &str) -> String {
    one_line(title, MAX_SUBJECT_CHARS).replace("=?", "= ?")
}

/// Builds the content and the HTML with as many alerts as Gmail shows.
fn fitting(message: &Message, max_alerts: usize, rendered: &Rendered) -> (Content, String) {
    let mut max_alerts = max_alerts.min(message.alerts.len());
    loop {
        let mut content = Content::new(message, max_alerts);
        if let Some(subject) = rendered.get("subject") {
            content.title = one_line(subject, MAX_SUBJECT_CHARS);
        }
        let html = html::html(&content, rendered);
        let is_template = rendered.get("html").is_some();
        if html.len() <= MAX_HTML_BYTES || is_template || max_alerts == 0 {
            return (content, html);
        }
        max_alerts /= 2;
    }
}

/// Builds the id to which all mails of a day about a group reply, so that mail programs show one conversation. No mail
/// has this id as its own, so that the order of the mails does not matter.
fn thread_id(message: &Message, at_ms: i64, domain: &str) -> String {
    let day: String = payload::time(at_ms).chars().take(10).collect();
    format!("<{}.{day}@{domain}>", key(message))
}

/// Encodes the name of a channel as part of a Message-ID (RFC 5322, `dot-atom`): each channel sends a mail of its own.
pub(super) fn id_part(channel: &str) -> String {
    let mut part = String::new();
    for byte in channel.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            part.push(char::from(byte));
        } else {
            part.extend(["%", &hex(&[byte])]);
        }
    }
    part
}

/// Returns half of the key, which is unique and keeps the header in one line.
fn key(message: &Message) -> &str {
    message.dedup_key.get(..32).unwrap_or(&message.dedup_key)
}

fn text(content: &Content, note: &str) -> String {
    let mut text = String::new();
    let mut add = |part: &str| {
        if !part.is_empty() {
            text.extend([part, "\n\n"]);
        }
    };
    add(&content.title);
    add(&content.reason);
    add(&content.summary);
    add(&content.description);
    add(&listed(&content.labels));
    for alert in &content.alerts {
        add(&alert_text(alert));
    }
    if content.more > 0 {
        add(&format!("and {} more", content.more));
    }
    let links = content.links.iter();
    let links = links.map(|link| format!("{}: {}\n", link.label, link.url));
    add(links.collect::<String>().trim_end());
    add(note);
    text
}

fn alert_text(alert: &ContentAlert) -> String {
    let mut text = format!("* {} {}", alert.status.as_str(), alert.when);
    let mut add = |part: &str| {
        for line in part.lines() {
            text.extend(["\n  ", line]);
        }
    };
    add(&alert.summary);
    add(&alert.description);
    add(&listed(&alert.labels));
    if !alert.value.is_empty() {
        add(&format!("value: {}", alert.value));
    }
    text
}

fn listed(labels: &[ContentLabel]) -> String {
    let labels = labels.iter();
    let labels = labels.map(|label| format!("{}: {}", label.name, label.value));
    labels.collect::<Vec<_>>().join("\n")
}
