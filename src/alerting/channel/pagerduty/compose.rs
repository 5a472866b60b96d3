//! Builds the event, within the limits of Events API v2.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    super::{
        Message, MessageAlert, MessageStatus, Reason,
        content::{Content, MAX_TITLE_CHARS, lines, one_line},
        payload,
        template::Rendered,
    },
    PagerDutyOptions,
};

/// Bytes of an event: "512 KB", as 512,000 bytes.
pub(super) const MAX_EVENT_BYTES: usize = 512_000;
/// Characters of `source`, `component`, `group`, `class` and `client`: the limit of a key.
const MAX_FIELD_CHARS: usize = 255;
/// Characters of a label or an annotation in the details.
const MAX_DETAIL_CHARS: usize = 1_000;
/// Characters of a label or an annotation, if an event with one alert is too large.
const MIN_DETAIL_CHARS: usize = 200;
/// Labels and annotations of each alert in the details.
const MAX_DETAILS: usize = 64;
/// Characters of the details of a template: the JSON of a character has at most six characters.
const MAX_TEMPLATE_CHARS: usize = 50_000;

#[derive(Debug, Serialize)]
struct Event<'m> {
    routing_key: &'m str,
    #[serde(rename = "event_action")]
    action: &'static str,
    dedup_key: &'m str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Payload>,
    #[serde(skip_serializing_if = "String::is_empty")]
    client: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_url: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<EventLink>,
}

#[derive(Debug, Serialize)]
struct EventLink {
    href: String,
    text: &'static str,
}

#[derive(Debug, Serialize)]
struct Payload {
    summary: String,
    source: String,
    severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    custom_details: BTreeMap<&'static str, String>,
}

/// The size of the details about alerts.
#[derive(Clone, Copy, Debug)]
struct DetailSize {
    alerts: usize,
    detail_chars: usize,
}

impl DetailSize {
    /// Halves the number of alerts, and shortens the details of the last alert. Returns `None` at the smallest size.
    fn reduced(self) -> Option<Self> {
        match self.alerts {
            0 => None,
            1 if self.detail_chars > MIN_DETAIL_CHARS => Some(Self {
                detail_chars: MIN_DETAIL_CHARS,
                ..self
            }),
            alerts => Some(Self {
                alerts: alerts / 2,
                ..self
            }),
        }
    }
}

/// Builds the event with as many alerts as fit into it.
pub(super) fn body(
    message: &Message,
    options: &PagerDutyOptions,
    rendered: &Rendered,
) -> Result<Vec<u8>, serde_json::Error> {
    let mut size = DetailSize {
        alerts: options.max_alerts.min(message.alerts.len()),
        detail_chars: MAX_DETAIL_CHARS,
    };
    loop {
        let body = serde_json::to_vec(&event(message, options, rendered, size))?;
        match size.reduced() {
            Some(reduced) if body.len() > MAX_EVENT_BYTES => size = reduced,
            _ => return Ok(body),
        }
    }
}

fn event<'m>(
    message: &'m Message,
    options: &'m PagerDutyOptions,
    rendered: &Rendered,
    size: DetailSize,
) -> Event<'m> {
    let mut event = Event {
        routing_key: options.routing_key.expose(),
        action: action(message),
        dedup_key: &message.dedup_key,
        payload: None,
        client: String::new(),
        client_url: None,
        links: Vec::new(),
    };
    // Acknowledgements and resolutions refer to the incident of the key, and have no other fields.
    if event.action == "trigger" {
        let links = Content::new(message, 0).links;
        event.client = one_line(&options.client, MAX_FIELD_CHARS);
        event.client_url = links
            .iter()
            .find(|link| link.label == "Dashboard")
            .map(|link| link.url.clone());
        event.links = links
            .into_iter()
            .map(|link| EventLink {
                href: link.url,
                text: link.label,
            })
            .collect();
        event.payload = Some(payload(message, options, rendered, size));
    }
    event
}

fn action(message: &Message) -> &'static str {
    match (message.status, &message.reason) {
        (MessageStatus::Resolved, _) => "resolve",
        (MessageStatus::Firing, Reason::Acknowledged { .. }) => "acknowledge",
        (MessageStatus::Firing, _) => "trigger",
    }
}

fn payload(
    message: &Message,
    options: &PagerDutyOptions,
    rendered: &Rendered,
    size: DetailSize,
) -> Payload {
    let field = |text: &str| one_line(text, MAX_FIELD_CHARS);
    let label = |name: &str| {
        let value = message.common_labels.get(name)?;
        Some(field(value)).filter(|value| !value.is_empty())
    };
    let summary = rendered.get("summary").map(str::to_owned);
    let summary = summary.unwrap_or_else(|| {
        let common = message.common_annotations.get("summary");
        common.map_or_else(
            || message.title(),
            |summary| format!("{}: {summary}", message.title()),
        )
    });
    let mut starts = message.alerts.iter().map(|alert| alert.alert.starts_at);
    let first = starts.next().map(|first| starts.fold(first, i64::min));
    Payload {
        summary: one_line(&summary, MAX_TITLE_CHARS),
        source: label("instance").unwrap_or_else(|| field(&options.source)),
        // Events API v2 has the same four severities.
        severity: message.severity.as_str(),
        timestamp: first.map(payload::time),
        component: label("component"),
        group: label("service").or_else(|| label("job")),
        class: label("alertname"),
        custom_details: details(message, rendered, size),
    }
}

/// Writes Alertmanager's four details, which users' orchestration rules may match, and the details of this crate.
fn details(
    message: &Message,
    rendered: &Rendered,
    size: DetailSize,
) -> BTreeMap<&'static str, String> {
    let firing = message.firing_count();
    let mut details = BTreeMap::from([
        ("num_firing", firing.to_string()),
        ("num_resolved", (message.alerts.len() - firing).to_string()),
        ("receiver", one_line(&message.receiver, MAX_FIELD_CHARS)),
    ]);
    let reason = Content::new(message, 0).reason;
    let mut add = |name: &'static str, text: &str| {
        if !text.is_empty() {
            details.insert(name, text.to_owned());
        }
    };
    add("why", &reason);
    add("template_error", &rendered.note);
    if let Some(text) = rendered.get("details") {
        add("details", &lines(text, MAX_TEMPLATE_CHARS));
        return details;
    }
    let mut left = size.alerts;
    for (name, status) in [
        ("firing", MessageStatus::Firing),
        ("resolved", MessageStatus::Resolved),
    ] {
        let alerts = message.alerts.iter().filter(|alert| alert.status == status);
        let shown = alerts.take(left);
        let shown: Vec<String> = shown
            .map(|alert| listed(alert, size.detail_chars))
            .collect();
        left -= shown.len();
        details.insert(name, shown.concat());
    }
    let left_out = message.alerts.len() + message.truncated_alerts - (size.alerts - left);
    if left_out > 0 {
        details.insert("num_left_out", left_out.to_string());
    }
    details
}

/// Writes an alert in Alertmanager's form.
fn listed(alert: &MessageAlert, detail_chars: usize) -> String {
    let labels = alert.alert.labels.iter();
    let labels = pairs(
        labels.map(|label| (label.name(), label.value())),
        detail_chars,
    );
    let annotations = alert.alert.annotations.iter();
    let annotations = pairs(
        annotations.map(|(name, text)| (name.as_str(), text.as_str())),
        detail_chars,
    );
    let source = one_line(&alert.alert.generator_url, MAX_DETAIL_CHARS);
    format!("Labels:\n{labels}Annotations:\n{annotations}Source: {source}\n")
}

fn pairs<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>, max_chars: usize) -> String {
    let pairs = pairs.take(MAX_DETAILS).map(|(name, value)| {
        let name = one_line(name, MAX_FIELD_CHARS);
        format!(" - {name} = {}\n", one_line(value, max_chars))
    });
    pairs.collect()
}
