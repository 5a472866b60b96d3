//! Endpoints below `/api/observatory` for functions that Prometheus's API does not have.
//!
//! Reading is open to every client that reaches the server, as `/metrics` is. Requests that change something need the
//! configured token. Without a configured token, they are accepted only on a loopback address. Their body must have a
//! JSON content type, which a page of another origin cannot send without a CORS preflight.

mod alerts;
mod conditions;
mod guard;
mod silences;

use std::time::Duration;

use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{delete, get, post},
};
use serde::Serialize;

use super::{Sources, endpoints::ServerState};
use crate::alerting::{Alerts, NotDurable};

/// The time after which a request is answered although its change is not on the disk yet.
const MAX_FLUSH_TIME: Duration = Duration::from_secs(5);

/// Returns the routes below `/api/observatory`.
pub(super) fn router(state: &ServerState) -> Router<ServerState> {
    let changes = Router::new()
        .route(
            "/api/observatory/alerts/acknowledge",
            post(alerts::acknowledge),
        )
        .route("/api/observatory/rules/{id}", post(alerts::switch))
        .route(
            "/api/observatory/channels/{name}/test",
            post(alerts::test_channel),
        )
        .route("/api/observatory/silences", post(silences::set))
        .route("/api/observatory/silences/{id}", delete(silences::expire))
        .layer(axum::middleware::from_fn_with_state(
            state.clone(),
            guard::guard,
        ));
    Router::new()
        .route("/api/observatory/alerts", get(alerts::groups))
        .route("/api/observatory/alerts/history", get(alerts::history))
        .route(
            "/api/observatory/alerts/statistics",
            get(alerts::statistics),
        )
        .route("/api/observatory/alerts/conditions", get(conditions::list))
        .route("/api/observatory/silences", get(silences::list))
        .route("/api/observatory/silences/preview", post(silences::preview))
        .route("/api/observatory/channels", get(alerts::channels))
        .route("/api/observatory/export/rules", get(alerts::export_rules))
        .route(
            "/api/observatory/export/alertmanager",
            get(alerts::export_routing),
        )
        .merge(changes)
}

/// Runs `work` on a blocking thread, since it may wait for an evaluation of rules.
async fn on_blocking_thread(
    state: &ServerState,
    work: impl FnOnce(Alerts) -> Response + Send + 'static,
) -> Response {
    let work = |sources: &Sources| work(sources.alerts.clone());
    let answered = state.places.run(&state.sources, work).await;
    answered.unwrap_or_else(|refused| refused)
}

/// Makes a change on a blocking thread, and answers after the change is on the disk: with status 200 and
/// `"durable": true`. A change that is in effect but not on the disk has `"durable": false` and a warning; its status is
/// 202 if a data directory is configured.
async fn answer_durably(
    state: &ServerState,
    change: impl FnOnce(&Alerts) -> Result<serde_json::Value, (StatusCode, String)> + Send + 'static,
) -> Response {
    let change = |sources: &Sources| change(&sources.alerts);
    let mut body = match state.places.run(&state.sources, change).await {
        Ok(Ok(body)) => body,
        Ok(Err((status, error))) => return error_response(status, error),
        Err(response) => return response,
    };
    let flushed = tokio::time::timeout(MAX_FLUSH_TIME, state.sources.alerts.flush()).await;
    let warning = match flushed {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some((error == NotDurable::NoDataDirectory, error.to_string())),
        Err(_) => Some((
            false,
            format!("the disk has not answered within {MAX_FLUSH_TIME:?}"),
        )),
    };
    body["durable"] = warning.is_none().into();
    let mut status = StatusCode::OK;
    if let Some((is_as_configured, text)) = warning {
        body["warning"] = text.into();
        if !is_as_configured {
            status = StatusCode::ACCEPTED;
        }
    }
    (status, json(&body)).into_response()
}

fn json(value: &impl Serialize) -> Response {
    // Strings, numbers, lists and maps always serialise.
    let body = serde_json::to_string_pretty(value).unwrap_or_default() + "\n";
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, body).into_response()
}

fn yaml(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/yaml")], text).into_response()
}

/// Returns an error in the format of Prometheus's API.
fn error_response(status: StatusCode, error: impl std::fmt::Display) -> Response {
    let body = serde_json::json!({ "status": "error", "error": error.to_string() });
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        body.to_string() + "\n",
    )
        .into_response()
}

fn bad_request(error: impl std::fmt::Display) -> Response {
    error_response(StatusCode::BAD_REQUEST, error)
}
