//! Endpoints that list, create, change and expire silences.

use axum::{
    Json,
    extract::{Path, State, rejection::JsonRejection},
    http::StatusCode,
    response::Response,
};
use serde_json::json;

use super::{bad, json as answer, on_pool, refuse};
use crate::{
    alerting::{SilenceError, SilenceRequest},
    server::endpoints::Answers,
};

/// Lists all silences, the active ones first.
pub(super) async fn list(State(answers): State<Answers>) -> Response {
    on_pool(&answers, |alerts| answer(&alerts.silences())).await
}

/// Creates a silence, or changes the silence with the given `id`.
pub(super) async fn set(
    State(answers): State<Answers>,
    body: Result<Json<SilenceRequest>, JsonRejection>,
) -> Response {
    let request = match body {
        Ok(Json(request)) => request,
        Err(error) => return bad(error),
    };
    on_pool(&answers, move |alerts| match alerts.silence(request) {
        Ok(id) => answer(&json!({ "silenceID": id })),
        Err(error) => refused(&error),
    })
    .await
}

/// Expires a silence.
pub(super) async fn expire(State(answers): State<Answers>, Path(id): Path<String>) -> Response {
    on_pool(&answers, move |alerts| match alerts.expire_silence(&id) {
        Ok(()) => answer(&json!({ "silenceID": id })),
        Err(error) => refused(&error),
    })
    .await
}

fn refused(error: &SilenceError) -> Response {
    let status = match error {
        SilenceError::NotFound(_) => StatusCode::NOT_FOUND,
        _ => StatusCode::BAD_REQUEST,
    };
    // The cause holds the position of the error in the matcher.
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    refuse(status, format_args!("{error}{}", cause.unwrap_or_default()))
}
