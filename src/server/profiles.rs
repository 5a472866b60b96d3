//! Endpoints below `/debug/pprof`, for profiles of the process.
//!
//! A profile shows the insides of the process and costs CPU time, so the endpoints need the configured token; without a
//! token, they answer on a loopback address only.

#[cfg(feature = "profiling")]
use std::time::Duration;

use axum::{
    Router,
    extract::{Query, Request, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde::Deserialize;

use super::endpoints::ServerState;
use crate::profiler::ProfilerError;
#[cfg(feature = "profiling")]
use crate::profiler::{CpuProfile, CpuRequest};

/// The path of flame graphs of spans.
pub(super) const SPANS: &str = "/debug/pprof/spans";
/// The path of CPU profiles.
pub(super) const CPU: &str = "/debug/pprof/profile";

pub(super) fn router(state: &ServerState) -> Router<ServerState> {
    Router::new()
        .route(CPU, get(cpu))
        .route(SPANS, get(spans))
        .route("/api/observatory/journal", get(journal))
        .route("/api/observatory/bottlenecks", get(bottlenecks))
        .layer(from_fn_with_state(state.clone(), guard))
}

/// Passes requests on that may see profiles.
async fn guard(State(state): State<ServerState>, request: Request, next: Next) -> Response {
    match refusal(&state, request.headers()) {
        Some((status, reason)) => text(status, reason),
        None => next.run(request).await,
    }
}

/// Returns the reason for which a request may not see profiles.
fn refusal(state: &ServerState, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
    #[cfg(feature = "alerting")]
    if state.sources.options.api_token.is_some() {
        return (!state.has_token(headers)).then_some((
            StatusCode::UNAUTHORIZED,
            "profiles need the header `authorization: Bearer …` with the configured token (OBSERVATORY_TOKEN)",
        ));
    }
    let _ = headers;
    // The address of an application's own server is unknown; it may not be a loopback address.
    let address = state.address;
    let is_loopback = address.is_some_and(|address| address.ip().is_loopback());
    (!is_loopback).then_some((
        StatusCode::FORBIDDEN,
        "the server listens beyond this machine, so profiles need a token: set OBSERVATORY_TOKEN",
    ))
}

/// The parameters of a flame graph of spans.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SpanParams {
    format: Option<String>,
    time: Option<String>,
}

/// Answers with the flame graph of the spans that have closed.
async fn spans(
    State(state): State<ServerState>,
    params: Result<Query<SpanParams>, QueryRejection>,
) -> Response {
    let SpanParams { format, time } = match params {
        Ok(Query(params)) => params,
        Err(error) => return text(StatusCode::BAD_REQUEST, &error.body_text()),
    };
    let draw = move |sources: &super::Sources| {
        let graph = match sources.profiler.span_flame_graph() {
            Ok(graph) => graph,
            Err(error) => return refused(&error),
        };
        let graph = match time.as_deref() {
            None | Some("all") => graph,
            Some("self") => graph.without_idle(),
            Some("idle") => graph.only_idle(),
            Some(time) => {
                let reason = format!("time is `{time}`; it must be `all`, `self` or `idle`");
                return text(StatusCode::BAD_REQUEST, &reason);
            }
        };
        match format.as_deref() {
            None | Some("json") => document_of("application/json", graph.json()),
            Some("folded") => document_of("text/plain; charset=utf-8", graph.folded()),
            Some("svg") => match graph.svg() {
                Ok(document) => document_of("image/svg+xml", document),
                Err(error) => refused(&error),
            },
            Some(format) => {
                let reason = format!("format is `{format}`; it must be `json`, `folded` or `svg`");
                text(StatusCode::BAD_REQUEST, &reason)
            }
        }
    };
    let answered = state.places.run(&state.sources, draw).await;
    answered.unwrap_or_else(|refused| refused)
}

/// Answers with the times of all operations.
async fn journal(State(state): State<ServerState>) -> Response {
    let write = |sources: &super::Sources| match sources.profiler.journal() {
        Some(report) => {
            // Strings, numbers and lists always serialise.
            let body = serde_json::to_string_pretty(&report).unwrap_or_default() + "\n";
            document_of("application/json", body)
        }
        None => refused(&ProfilerError::NoJournal),
    };
    let answered = state.places.run(&state.sources, write).await;
    answered.unwrap_or_else(|refused| refused)
}

/// Answers with the bottlenecks since the start.
async fn bottlenecks(State(state): State<ServerState>) -> Response {
    let write = |sources: &super::Sources| match sources.profiler.bottlenecks() {
        Ok(found) => {
            let body = serde_json::json!({ "bottlenecks": found });
            document_of("application/json", format!("{body:#}\n"))
        }
        Err(error) => refused(&error),
    };
    let answered = state.places.run(&state.sources, write).await;
    answered.unwrap_or_else(|refused| refused)
}

/// The parameters of a CPU profile.
#[cfg(feature = "profiling")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CpuParams {
    seconds: Option<f64>,
    hz: Option<u32>,
    format: Option<String>,
    operation: Option<String>,
    group: Option<String>,
}

/// Records a CPU profile, and answers at its end.
#[cfg(feature = "profiling")]
async fn cpu(
    State(state): State<ServerState>,
    params: Result<Query<CpuParams>, QueryRejection>,
) -> Response {
    let params = match params {
        Ok(Query(params)) => params,
        Err(error) => return text(StatusCode::BAD_REQUEST, &error.body_text()),
    };
    let format = params.format.as_deref().unwrap_or("pprof");
    // Before the recording, which takes a while.
    if !["pprof", "svg", "folded", "json"].contains(&format) {
        let reason = format!("format is `{format}`; it must be `pprof`, `svg`, `folded` or `json`");
        return text(StatusCode::BAD_REQUEST, &reason);
    }
    let by_operation = match params.group.as_deref() {
        None => false,
        Some("operation") => true,
        Some(group) => {
            let reason = format!("group is `{group}`; it must be `operation`, or absent");
            return text(StatusCode::BAD_REQUEST, &reason);
        }
    };
    let duration = match params.seconds.map(Duration::try_from_secs_f64) {
        None => None,
        Some(Ok(duration)) => Some(duration),
        Some(Err(_)) => {
            let reason = "seconds is not a positive number; it must lie between 0.01 and 600";
            return text(StatusCode::BAD_REQUEST, reason);
        }
    };
    let request = CpuRequest {
        duration,
        frequency_hz: params.hz,
    };
    let profile = match state.sources.profiler.requested_cpu_profile(request).await {
        Ok(profile) => profile,
        Err(error) => return refused(&error),
    };
    let operation = params.operation;
    let profile = operation.map_or(profile.clone(), |operation| profile.filter(&operation));
    let format = format.to_owned();
    let write = move |_: &super::Sources| written(&profile, &format, by_operation);
    let answered = state.places.run(&state.sources, write).await;
    answered.unwrap_or_else(|refused| refused)
}

#[cfg(feature = "profiling")]
fn written(profile: &CpuProfile, format: &str, by_operation: bool) -> Response {
    let svg = || {
        if by_operation {
            profile.svg_by_operation()
        } else {
            profile.svg()
        }
    };
    match format {
        "svg" => match svg() {
            Ok(document) => document_of("image/svg+xml", document),
            Err(error) => refused(&error),
        },
        "folded" => document_of("text/plain; charset=utf-8", profile.folded()),
        "json" => document_of("application/json", profile.json()),
        _ => (
            [
                (header::CONTENT_TYPE, "application/octet-stream"),
                (
                    header::CONTENT_DISPOSITION,
                    "attachment; filename=\"profile.pb.gz\"",
                ),
                (header::CACHE_CONTROL, "no-store"),
            ],
            profile.to_pprof(),
        )
            .into_response(),
    }
}

/// Answers that the feature is missing.
#[cfg(not(feature = "profiling"))]
async fn cpu() -> Response {
    refused(&ProfilerError::NotCompiledIn("profiling"))
}

fn document_of(content_type: &'static str, body: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-store"),
        // A flame graph has scripts of its own, which must not reach the rest of the server.
        (
            header::CONTENT_SECURITY_POLICY,
            "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'",
        ),
    ];
    (headers, body).into_response()
}

/// Answers with the reason for which there is no profile.
fn refused(error: &ProfilerError) -> Response {
    let status = match error {
        ProfilerError::Duration(_) | ProfilerError::Frequency(_) => StatusCode::BAD_REQUEST,
        ProfilerError::Busy { .. } => StatusCode::CONFLICT,
        ProfilerError::NotCompiledIn(_) => StatusCode::NOT_IMPLEMENTED,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    text(status, &crate::runtime::error_text::sentence(error))
}

fn text(status: StatusCode, reason: &str) -> Response {
    (status, format!("{reason}\n")).into_response()
}
