//! The endpoint `/api/observatory/tasks`: the open spans as a tree.

use axum::{
    Router,
    extract::{Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde::Deserialize;
use serde_json::json;

use super::endpoints::ServerState;

/// The default and the maximum number of spans in an answer.
const DEFAULT_LIMIT: usize = 1_000;
const MAX_LIMIT: usize = 5_000;

pub(super) fn router() -> Router<ServerState> {
    Router::new().route("/api/observatory/tasks", get(tasks))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskParams {
    limit: Option<usize>,
}

async fn tasks(
    State(state): State<ServerState>,
    params: Result<Query<TaskParams>, QueryRejection>,
) -> Response {
    let limit = match params {
        Ok(Query(params)) => params.limit.unwrap_or(DEFAULT_LIMIT),
        Err(error) => return refused(&error.body_text()),
    };
    if limit > MAX_LIMIT {
        return refused(&format!("limit is {limit}; it must be at most {MAX_LIMIT}"));
    }
    let answered = state
        .places
        .run(&state.sources, move |sources| {
            json_response(StatusCode::OK, (sources.tasks)(limit))
        })
        .await;
    answered.unwrap_or_else(|refused| refused)
}

/// Returns an error in the format of Prometheus's API.
fn refused(error: &str) -> Response {
    let body = json!({ "status": "error", "error": error });
    json_response(StatusCode::BAD_REQUEST, body.to_string())
}

fn json_response(status: StatusCode, body: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, body + "\n").into_response()
}
