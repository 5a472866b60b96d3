//! Endpoints that list, create, change and expire silences.

use axum::{
    Json,
    extract::{Path, State, rejection::JsonRejection},
    http::StatusCode,
    response::Response,
};
use serde_json::json;

use super::{answer_durably, bad_request, json as answer, on_blocking_thread};
use crate::{
    alerting::{SilenceError, SilenceRequest},
    server::endpoints::ServerState,
};

/// Lists all silences, the active ones first.
pub(super) async fn list(State(state): State<ServerState>) -> Response {
    on_blocking_thread(&state, |alerts| answer(&alerts.silences())).await
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
