//! Endpoints for alerts: groups, history, acknowledgement, rule switches, channel tests, and exports.

use std::collections::HashMap;

use axum::{
    Json,
    extract::{Path, Query, State, rejection::JsonRejection},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use serde_json::json;

use super::{
    answer_durably, bad_request, error_response, json as answer, on_blocking_thread, yaml,
};
use crate::{
    alerting::{AcknowledgeTarget, HistoryQuery, parse_matchers},
    server::endpoints::ServerState,
};

/// The default number of records in one response of the history.
const DEFAULT_LIMIT: usize = 100;

/// Lists the groups that have alerts.
pub(super) async fn groups(State(state): State<ServerState>) -> Response {
    on_blocking_thread(&state, |alerts| {
        answer(&json!({ "status": alerts.status(), "groups": alerts.groups() }))
    })
    .await
}

/// Lists the history: `?since=&until=&rule=&severity=&active=&match=&limit=`, with times in milliseconds since the
/// epoch.
pub(super) async fn history(
    State(state): State<ServerState>,
    Query(params): Query<HashMap<String, String>>,
) -> Response {
    match history_query(&params) {
        Ok(query) => {
            on_blocking_thread(&state, move |alerts| {
                let records = alerts.history(&query);
                answer(&records.iter().map(|record| &**record).collect::<Vec<_>>())
            })
            .await
        }
        Err(error) => bad_request(error),
    }
}

fn history_query(params: &HashMap<String, String>) -> Result<HistoryQuery, String> {
    fn read<T: std::str::FromStr>(
        params: &HashMap<String, String>,
        key: &str,
        expected: &str,
    ) -> Result<Option<T>, String> {
        let Some(text) = params.get(key).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let fault = |_| format!("{key} is {text:?}, but must be {expected}");
        text.parse().map(Some).map_err(fault)
    }
    let matchers = match params.get("match").filter(|text| !text.is_empty()) {
        Some(text) => {
            parse_matchers(text).map_err(|error| format!("match is {text:?}: {error}"))?
        }
        None => Vec::new(),
    };
    Ok(HistoryQuery {
        since: read(params, "since", "milliseconds since the epoch")?,
        until: read(params, "until", "milliseconds since the epoch")?,
        rule: params.get("rule").filter(|rule| !rule.is_empty()).cloned(),
        severity: read(params, "severity", "info, warning, error or critical")?,
        matchers,
        is_active: read(params, "active", "true or false")?,
        limit: read(params, "limit", "a whole number; 0 is no limit")?.unwrap_or(DEFAULT_LIMIT),
    })
}

/// Summarises the history in numbers.
pub(super) async fn statistics(State(state): State<ServerState>) -> Response {
    on_blocking_thread(&state, |alerts| answer(&alerts.statistics())).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Acknowledgement {
    group: Option<String>,
    dedup_key: Option<String>,
    /// Matchers in Alertmanager's syntax: `alertname="high_error_rate"`.
    matchers: Option<String>,
    by: String,
    #[serde(default)]
    comment: String,
}

/// Acknowledges a group, by its key or its dedup key, or every alert that matches.
pub(super) async fn acknowledge(
    State(state): State<ServerState>,
    body: Result<Json<Acknowledgement>, JsonRejection>,
) -> Response {
    let Acknowledgement {
        group,
        dedup_key,
        matchers,
        by,
        comment,
    } = match body {
        Ok(Json(body)) => body,
        Err(error) => return bad_request(error),
    };
    let target = match (group, dedup_key, matchers) {
        (Some(key), None, None) => AcknowledgeTarget::Group(key),
        (None, Some(key), None) => AcknowledgeTarget::DedupKey(key),
        (None, None, Some(text)) => match parse_matchers(&text) {
            Ok(matchers) => AcknowledgeTarget::Alerts(matchers),
            Err(error) => return bad_request(format_args!("matchers is {text:?}: {error}")),
        },
        _ => return bad_request("exactly one of group, dedup_key and matchers must be given"),
    };
    answer_durably(&state, move |alerts| {
        match alerts.acknowledge(&target, &by, &comment) {
            Ok(groups) => Ok(json!({ "groups": groups })),
            Err(error) => Err((StatusCode::BAD_REQUEST, error.to_string())),
        }
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleSwitch {
    enabled: bool,
}

/// Enables or disables a rule.
pub(super) async fn switch(
    State(state): State<ServerState>,
    Path(id): Path<String>,
    body: Result<Json<RuleSwitch>, JsonRejection>,
) -> Response {
    let Json(RuleSwitch { enabled }) = match body {
        Ok(body) => body,
        Err(error) => return bad_request(error),
    };
    answer_durably(&state, move |alerts| {
        match alerts.set_enabled(&id, enabled) {
            Ok(()) => Ok(json!({ "rule": id, "enabled": enabled })),
            Err(error) => Err((StatusCode::NOT_FOUND, error.to_string())),
        }
    })
    .await
}

/// Lists the channels with their addresses.
pub(super) async fn channels(State(state): State<ServerState>) -> Response {
    on_blocking_thread(&state, |alerts| answer(&alerts.channels())).await
}

/// Sends a test notification to every destination of a channel.
pub(super) async fn test_channel(
    State(state): State<ServerState>,
    Path(name): Path<String>,
) -> Response {
    match state.sources.alerts.clone().send_test(&name).await {
        Ok(results) => {
            let results = results.into_iter().map(|result| match result.outcome {
                Ok(receipt) => json!({
                    "destination": result.destination, "ok": true, "answer": receipt.answer,
                }),
                Err(error) => json!({
                    "destination": result.destination, "ok": false, "error": error.to_string(),
                }),
            });
            answer(&results.collect::<Vec<_>>())
        }
        Err(error) => error_response(StatusCode::NOT_FOUND, error),
    }
}

/// Exports all rules as a Prometheus rule file.
pub(super) async fn export_rules(State(state): State<ServerState>) -> Response {
    on_blocking_thread(&state, |alerts| yaml(alerts.export_rules().yaml)).await
}

/// Exports the routes as an Alertmanager configuration.
pub(super) async fn export_routing(State(state): State<ServerState>) -> Response {
    on_blocking_thread(&state, |alerts| match alerts.export_routing() {
        Ok(text) => yaml(text),
        Err(error) => error_response(StatusCode::INTERNAL_SERVER_ERROR, error),
    })
    .await
}
