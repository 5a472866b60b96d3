//! Answers `rules` and `alerts`: the rules, and the alerts that are pending or firing.

use axum::{extract::State, http::HeaderMap, response::Response};
use serde::Serialize;

use super::{
    answer::{ApiError, Encoded},
    params::Params,
};
use crate::{
    alerting::{AlertStatus, GroupStatus},
    server::endpoints::ServerState,
};

#[derive(Serialize)]
struct Rules {
    groups: Vec<GroupStatus>,
}

#[derive(Serialize)]
struct Active {
    alerts: Vec<AlertStatus>,
}

/// Lists the rules; `type`, `rule_name[]`, `rule_group[]` and `file[]` filter the list.
pub(in crate::server) async fn rules(
    State(state): State<ServerState>,
    headers: HeaderMap,
    params: Params,
) -> Response {
    super::answer(&state, &headers, move |context| {
        let sources = context.sources;
        let kind = match params.get("type").map(str::to_ascii_lowercase).as_deref() {
            None => None,
            Some("alert") => Some("alerting"),
            Some("record") => Some("recording"),
            Some(other) => {
                return Err(ApiError::parameter(
                    "type",
                    format_args!("not supported value {other:?}"),
                ));
            }
        };
        let is_among = |name: &str, value: &str| {
            let mut wanted = params.all(name).peekable();
            wanted.peek().is_none() || wanted.any(|wanted| wanted == value)
        };
        let without_alerts = params.get("exclude_alerts") == Some("true");
        let mut groups = sources.alerts.rules();
        groups.retain(|group| {
            is_among("rule_group[]", &group.name) && is_among("file[]", &group.file)
        });
        for group in &mut groups {
            group.rules.retain(|rule| {
                kind.is_none_or(|kind| kind == rule.kind) && is_among("rule_name[]", &rule.name)
            });
            if without_alerts {
                for rule in &mut group.rules {
                    rule.alerts = None;
                }
            }
        }
        groups.retain(|group| !group.rules.is_empty());
        Ok(Encoded::success(Rules { groups }))
    })
    .await
}

/// Lists the alerts that are pending or firing.
pub(in crate::server) async fn alerts(
    State(state): State<ServerState>,
    headers: HeaderMap,
) -> Response {
    super::answer(&state, &headers, move |context| {
        let sources = context.sources;
        let alerts = sources.alerts.active();
        Ok(Encoded::success(Active { alerts }))
    })
    .await
}
