//! Answers `/api/observatory/dashboard`: the facts that the page needs before it draws.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

use super::assets;
use crate::server::endpoints::ServerState;

pub(super) async fn about(State(state): State<ServerState>) -> Response {
    let sources = &state.sources;
    let options = &sources.options;
    let about = json!({
        "service": sources.service,
        "environment": sources.environment,
        "version": env!("CARGO_PKG_VERSION"),
        "assets": assets::version(),
        "prefix": sources.gatherer.registry.prefix(),
        "tickSeconds": sources.tick.as_secs_f64(),
        "uptimeSeconds": sources.gatherer.uptime().as_secs_f64(),
        "metricsPath": options.metrics_path,
        "healthPath": options.health_path,
        "features": {
            "alerting": cfg!(feature = "alerting"),
            "traces": cfg!(feature = "otlp"),
            "health": cfg!(feature = "health"),
            "tasks": false,
            "profiling": false,
            "configuration": false,
        },
        "panels": panels(),
    });
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, format!("{about}\n")).into_response()
}

#[cfg(feature = "alerting")]
fn panels() -> Value {
    json!(super::panels::all().collect::<Vec<_>>())
}

/// Returns no panels, since the series store is a part of alerting.
#[cfg(not(feature = "alerting"))]
fn panels() -> Value {
    json!([])
}
