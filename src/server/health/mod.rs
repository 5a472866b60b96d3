//! The endpoints of health: the whole service, its groups, and the history, answered from the last results.

mod form;
mod render;

use std::collections::HashMap;

use axum::{
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, get},
};

use self::form::Form;
use super::endpoints::ServerState;
use crate::health::{HealthReport, HealthStatus};

/// The groups that exist in every observatory.
const GROUPS: [&str; 3] = ["live", "ready", "startup"];

/// The facts about the service that a health report contains.
struct Service<'a> {
    name: &'a str,
    uptime_seconds: u64,
}

/// Returns the routes of health. With `in_application`, returns the routes of the groups that exist, and no pattern: a
/// pattern would hide the application's own routes below the path.
pub(super) fn routes(
    state: &ServerState,
    in_application: bool,
) -> Vec<(String, MethodRouter<ServerState>)> {
    let path = state.sources.options.health_path.trim_end_matches('/');
    let mut routes = vec![(path.to_owned(), get(whole))];
    if !in_application {
        routes.push((format!("{path}/{{group}}"), get(of_path)));
        return routes;
    }
    let configured = state.sources.health.groups();
    let all = GROUPS
        .iter()
        .map(|group| (*group).to_owned())
        .chain(configured);
    routes.extend(all.map(|group| {
        let path = format!("{path}/{group}");
        let handler = move |state: State<ServerState>,
                            query: Query<HashMap<String, String>>,
                            headers: HeaderMap| {
            let group = group.clone();
            async move { of_group(&state.0, &group, &query.0, &headers) }
        };
        (path, get(handler))
    }));
    routes
}

async fn whole(
    State(state): State<ServerState>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let report = state.sources.health.report();
    answer(&state, report, &query, &headers)
}

async fn of_path(
    State(state): State<ServerState>,
    Path(group): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    of_group(&state, &group, &query, &headers)
}

fn of_group(
    state: &ServerState,
    group: &str,
    query: &HashMap<String, String>,
    headers: &HeaderMap,
) -> Response {
    let health = &state.sources.health;
    if let Some(report) = health.group_report(group) {
        return answer(state, report, query, headers);
    }
    let mut known: Vec<String> = GROUPS.iter().map(|group| (*group).to_owned()).collect();
    known.extend(health.groups());
    let text = format!(
        "there is no group of this name; the groups are {}\n",
        known.join(", ")
    );
    (StatusCode::NOT_FOUND, text).into_response()
}

/// Answers with status 503 if the report is unhealthy, so that probes and load balancers need no body.
fn answer(
    state: &ServerState,
    mut report: HealthReport,
    query: &HashMap<String, String>,
    headers: &HeaderMap,
) -> Response {
    let sources = &state.sources;
    let format = query.get("format").map(String::as_str);
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let Some(form) = Form::select(format, accept.unwrap_or_default()) else {
        let text = "format must be json, health or text\n";
        return (StatusCode::BAD_REQUEST, text).into_response();
    };
    let has_details = sources.options.shows_health_details || state.has_token(headers);
    if !has_details {
        render::hide_details(&mut report);
    }
    let service = Service {
        name: &sources.service,
        uptime_seconds: sources.gatherer.uptime().as_secs(),
    };
    let body = match form {
        Form::Json => render::json(&report, &service, has_details),
        Form::HealthJson => render::health_json(&report, &service, has_details),
        Form::Text => render::text(&report),
    };
    let status = match report.status {
        HealthStatus::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
        HealthStatus::Healthy | HealthStatus::Degraded => StatusCode::OK,
    };
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static(form.content_type()),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, body).into_response()
}

/// Answers with the changes of the states of checks, oldest first.
pub(super) async fn history(State(state): State<ServerState>, headers: HeaderMap) -> Response {
    if !state.sources.options.shows_health_details && !state.has_token(&headers) {
        let text = "the history needs the token, since health.details is authenticated\n";
        return (StatusCode::UNAUTHORIZED, text).into_response();
    }
    let changes = state.sources.health.history();
    axum::Json(serde_json::json!({ "changes": changes })).into_response()
}
