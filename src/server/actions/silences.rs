//! Endpoints that list, create, change and expire silences.

use axum::{
    Json,
    extract::{Path, State, rejection::JsonRejection},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use serde_json::json;

use super::{answer_durably, bad_request, json as answer, on_blocking_thread};
use crate::{
    alerting::{SilenceError, SilenceRequest, parse_matchers},
    server::endpoints::ServerState,
};

/// The maximum number of alerts that a preview lists.
const MAX_PREVIEWED: usize = 100;

/// Lists all silences, the active ones first.
pub(super) async fn list(State(state): State<ServerState>) -> Response {
    on_blocking_thread(&state, |alerts| answer(&alerts.silences())).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Preview {
    matchers: Vec<String>,
}

/// Lists the pending and firing alerts that a silence with these matchers would suppress.
pub(super) async fn preview(
    State(state): State<ServerState>,
    body: Result<Json<Preview>, JsonRejection>,
) -> Response {
    let Preview { matchers } = match body {
        Ok(Json(body)) => body,
        Err(error) => return bad_request(error),
    };
    let parsed: Result<Vec<_>, _> = matchers.iter().map(|text| parse_matchers(text)).collect();
    let matchers = match parsed {
        Ok(parsed) => parsed.concat(),
        Err(error) => return bad_request(error),
    };
    on_blocking_thread(&state, move |alerts| {
        let mut active = alerts.active();
        active.retain(|alert| matchers.iter().all(|one| one.is_met_by(&alert.labels)));
        answer(&json!({ "total": active.len(), "alerts": active.iter().take(MAX_PREVIEWED).collect::<Vec<_>>() }))
    })
    .await
}

/// Creates a silence, or changes the silence with the given `id`.
pub(super) async fn set(
    State(state): State<ServerState>,
    body: Result<Json<SilenceRequest>, JsonRejection>,
) -> Response {
    let request = match body {
        Ok(Json(request)) => request,
        Err(error) => return bad_request(error),
    };
    answer_durably(&state, move |alerts| match alerts.silence(request) {
        Ok(id) => Ok(json!({ "silenceID": id })),
        Err(error) => Err(refusal(&error)),
    })
    .await
}

/// Expires a silence.
pub(super) async fn expire(State(state): State<ServerState>, Path(id): Path<String>) -> Response {
    answer_durably(&state, move |alerts| match alerts.expire_silence(&id) {
        Ok(()) => Ok(json!({ "silenceID": id })),
        Err(error) => Err(refusal(&error)),
    })
    .await
}

/// Returns the status and the text of the answer to a request that was refused.
fn refusal(error: &SilenceError) -> (StatusCode, String) {
    let status = match error {
        SilenceError::NotFound(_) => StatusCode::NOT_FOUND,
        _ => StatusCode::BAD_REQUEST,
    };
    // The cause holds the position of the error in the matcher.
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    (status, format!("{error}{}", cause.unwrap_or_default()))
}
