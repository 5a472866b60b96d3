//! Answers `/api/observatory/dashboard`: the facts that the page needs before it draws.

use std::io::Write as _;

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use super::assets;
use crate::server::{endpoints::ServerState, negotiate};

pub(super) async fn about(State(state): State<ServerState>, headers: HeaderMap) -> Response {
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
            "tasks": cfg!(feature = "health"),
            "profiling": false,
            "configuration": false,
        },
        "panels": panels(),
    });
    let common = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "accept-encoding"),
    ];
    let text = format!("{about}\n");
    let accept = headers.get(header::ACCEPT_ENCODING);
    let accept = accept.and_then(|value| value.to_str().ok());
    match accept.filter(|accept| negotiate::accepts_gzip(accept)) {
        Some(_) => {
            let encoding = [(header::CONTENT_ENCODING, "gzip")];
            (common, encoding, gzip(text.as_bytes())).into_response()
        }
        None => (common, text).into_response(),
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing into a vector does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
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
