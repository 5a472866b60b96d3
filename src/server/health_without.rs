//! The endpoint of health without the feature `health`: the server answers, so the process lives.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, get},
};
use serde_json::json;

use super::endpoints::ServerState;

/// Returns the route of health.
pub(super) fn routes(
    state: &ServerState,
    _in_application: bool,
) -> Vec<(String, MethodRouter<ServerState>)> {
    vec![(state.sources.options.health_path.clone(), get(health))]
}

async fn health(State(state): State<ServerState>, headers: HeaderMap) -> Response {
    let sources = &state.sources;
    let (service, uptime) = (&sources.service, sources.gatherer.uptime().as_secs());
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let is_draft = accept.is_some_and(|accept| accept.contains("application/health+json"));
    let (content_type, body) = if is_draft {
        // The format of draft-inadarei-api-health-check-06.
        let uptime = json!([{ "observedValue": uptime, "observedUnit": "s", "status": "pass" }]);
        let body =
            json!({ "status": "pass", "serviceId": service, "checks": { "uptime": uptime } });
        ("application/health+json", body)
    } else {
        let body = json!({ "status": "healthy", "service": service, "uptime_seconds": uptime, "checks": {} });
        ("application/json", body)
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, format!("{body:#}\n")).into_response()
}
