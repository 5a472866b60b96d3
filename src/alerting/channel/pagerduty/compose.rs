//! The event, within what Events API v2 takes.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    super::{
        Message, MessageAlert, Reason, Status,
        content::{Content, MAX_TITLE_CHARS, lines, one_line},
        payload,
        template::Rendered,
    },
    PagerDutyOptions,
};

/// Bytes of an event: "512 KB", read the smaller way.
pub(super) const MAX_EVENT_BYTES: usize = 512_000;
/// Characters of `source`, `component`, `group`, `class` and `client`: those of a key.
const MAX_FIELD_CHARS: usize = 255;
/// Characters of a label or an annotation in the details.
const MAX_DETAIL_CHARS: usize = 1_000;
/// The same, of an alert that alone does not fit.
const FEW_DETAIL_CHARS: usize = 200;
/// Labels and annotations of each alert in the details.
const MAX_DETAILS: usize = 64;
/// Characters of details that a template writes: their JSON is six times as long at worst.
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

/// How much is told of the alerts.
#[derive(Clone, Copy, Debug)]
struct Room {
    alerts: usize,
    detail_chars: usize,
}

impl Room {
    /// Fewer alerts; of the last one less. `None` when nothing is left to leave out.
    fn less(self) -> Option<Self> {
        match self.alerts {
            0 => None,
            1 if self.detail_chars > FEW_DETAIL_CHARS => Some(Self {
                detail_chars: FEW_DETAIL_CHARS,
                ..self
            }),
            alerts => Some(Self {
                alerts: alerts / 2,
                ..self
            }),
        }
    }
}

/// The event's bytes, with as many alerts as there is room for.
pub(super) fn body(
    message: &Message,
    options: &PagerDutyOptions,
    rendered: &Rendered,
) -> Result<Vec<u8>, serde_json::Error> {
    let mut room = Room {
        alerts: options.max_alerts.min(message.alerts.len()),
        detail_chars: MAX_DETAIL_CHARS,
    };
    loop {
        let body = serde_json::to_vec(&event(message, options, rendered, room))?;
        match room.less() {
            Some(less) if body.len() > MAX_EVENT_BYTES => room = less,
            _ => return Ok(body),
        }
    }
}

fn event<'m>(
    message: &'m Message,
    options: &'m PagerDutyOptions,
    rendered: &Rendered,
    room: Room,
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
    // An acknowledgement and an end are about the incident that the key names, and take nothing else.
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
        event.payload = Some(payload(message, options, rendered, room));
    }
    event
}

fn action(message: &Message) -> &'static str {
    match (message.status, &message.reason) {
        (Status::Resolved, _) => "resolve",
        (Status::Firing, Reason::Acknowledged { .. }) => "acknowledge",
        (Status::Firing, _) => "trigger",
    }
}

fn payload(
    message: &Message,
    options: &PagerDutyOptions,
    rendered: &Rendered,
    room: Room,
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
        // Events API v2 knows the same four.
        severity: message.severity.as_str(),
        timestamp: first.map(payload::time),
        component: label("component"),
        group: label("service").or_else(|| label("job")),
        class: label("alertname"),
        custom_details: details(message, rendered, room),
    }
}

/// Alertmanager's four details, by which orchestration rules may go already, and ours.
fn details(message: &Message, rendered: &Rendered, room: Room) -> BTreeMap<&'static str, String> {
    let firing = message.firing_count();
    let mut details = BTreeMap::from([
        ("num_firing", firing.to_string()),
        ("num_resolved", (message.alerts.len() - firing).to_string()),
        ("receiver", one_line(&message.receiver, MAX_FIELD_CHARS)),
    ]);
    let why = Content::new(message, 0).why;
    let mut add = |name: &'static str, text: &str| {
        if !text.is_empty() {
            details.insert(name, text.to_owned());
        }
    };
    add("why", &why);
    add("template_error", &rendered.note);
    if let Some(text) = rendered.get("details") {
        add("details", &lines(text, MAX_TEMPLATE_CHARS));
        return details;
    }
    let mut left = room.alerts;
    for (name, status) in [("firing", Status::Firing), ("resolved", Status::Resolved)] {
        let alerts = message.alerts.iter().filter(|alert| alert.status == status);
        let shown = alerts.take(left);
        let shown: Vec<String> = shown
            .map(|alert| listed(alert, room.detail_chars))
            .collect();
        left -= shown.len();
        details.insert(name, shown.concat());
    }
    let left_out = message.alerts.len() + message.truncated_alerts - (room.alerts - left);
    if left_out > 0 {
        details.insert("num_left_out", left_out.to_string());
    }
    details
}

/// One alert in Alertmanager's form.
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
