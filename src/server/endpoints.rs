//! The routes of the server, and the endpoints for metrics, health, status, and the index page.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::{NestedPath, Query, State, rejection::NestedPathRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::from_fn_with_state,
    response::{Html, IntoResponse as _, Response},
    routing::get,
};
use serde_json::json;

use super::{Sources, body, hosts, metrics, places::Places};

/// The state that all endpoints share.
#[derive(Clone)]
pub(super) struct ServerState {
    pub(super) sources: Arc<Sources>,
    /// The address of the server; `None` if the application's server serves the endpoints.
    pub(super) address: Option<SocketAddr>,
    scrape_limit: metrics::ScrapeLimit,
    pub(super) places: Places,
}

/// The path of the status.
const STATUS: &str = "/status";

/// The content security policy of the index page: the style of the page, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'sha256-1eCuwNptBZaawq8jrTzFbgqvYWfkhiZSI4rK8OOViHg='; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";

/// Returns the routes of the observatory's own server.
pub(super) fn router(sources: Arc<Sources>, address: SocketAddr) -> Router {
    let state = ServerState::new(sources, Some(address));
    routes(&state).fallback(not_found).with_state(state)
}

/// Returns the same routes, for a server of the application.
#[cfg(feature = "http")]
pub(crate) fn mounted(sources: Sources) -> Router {
    let state = ServerState::new(Arc::new(sources), None);
    routes(&state).with_state(state)
}

/// Returns the routes of metrics, health and status, for a server of the application.
#[cfg(feature = "http")]
pub(crate) fn mounted_essentials(sources: Sources) -> Router {
    let state = ServerState::new(Arc::new(sources), None);
    let router = Router::new().route(STATUS, get(status));
    finish(router, &state).with_state(state)
}

fn routes(state: &ServerState) -> Router<ServerState> {
    let router = Router::new()
        .route(STATUS, get(status))
        .route("/", get(index));
    let router = router.merge(super::profiles::router(state));
    #[cfg(feature = "alerting")]
    let router = router
        .merge(super::api::router())
        .merge(super::actions::router(state))
        .merge(super::runbooks::router());
    #[cfg(feature = "otlp")]
    let router = router
        .merge(super::traces::router())
        .merge(super::dashboard::router());
    finish(router, state)
}

/// Adds the routes of metrics and health, which answer under every name and have a budget of their own.
fn finish(router: Router<ServerState>, state: &ServerState) -> Router<ServerState> {
    let options = &state.sources.options;
    let guarded = router
        .layer(from_fn_with_state(state.clone(), body::account))
        .layer(from_fn_with_state(state.clone(), hosts::check));
    Router::new()
        .route(&options.metrics_path, get(scrape))
        .route(&options.health_path, get(health))
        .merge(guarded)
        .layer(from_fn_with_state(state.clone(), body::read))
}

impl ServerState {
    fn new(sources: Arc<Sources>, address: Option<SocketAddr>) -> Self {
        Self {
            sources,
            address,
            scrape_limit: metrics::ScrapeLimit::default(),
            places: Places::default(),
        }
    }

    /// Returns whether a request carries the configured token.
    #[cfg(feature = "alerting")]
    pub(super) fn has_token(&self, headers: &HeaderMap) -> bool {
        let token = self.sources.options.api_token.as_ref();
        token.is_some_and(|token| super::actions::has_token(headers, token.expose()))
    }

    /// Returns false, since the token is an option of alerting.
    #[cfg(not(feature = "alerting"))]
    #[expect(clippy::unused_self, reason = "the signature with the feature")]
    pub(super) fn has_token(&self, _: &HeaderMap) -> bool {
        false
    }
}

async fn scrape(
    State(ServerState {
        sources,
        scrape_limit,
        ..
    }): State<ServerState>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let format = query.get("format").map(String::as_str);
    scrape_limit.answer(sources, format, &headers).await
}

/// Answers `pass` whenever the server answers, which it does even if the application's runtime is blocked.
async fn health(
    State(ServerState { sources, .. }): State<ServerState>,
    headers: HeaderMap,
) -> Response {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let service = &sources.service;
    if !accept.contains("application/health+json") {
        return json_response(
            "application/json",
            &json!({
                "status": "healthy",
                "service": service,
                "uptime_seconds": sources.gatherer.uptime().as_secs(),
                "checks": {},
            }),
        );
    }
    // The format of draft-inadarei-api-health-check-06.
    json_response(
        "application/health+json",
        &json!({
            "status": "pass",
            "serviceId": service,
            "checks": { "uptime": [{ "observedValue": sources.gatherer.uptime().as_secs(), "observedUnit": "s", "status": "pass" }] },
        }),
    )
}

async fn status(State(state): State<ServerState>) -> Response {
    let address = state.address;
    let read = move |sources: &Sources| json_body("application/json", (sources.status)(address));
    let answered = state.places.run(&state.sources, read).await;
    answered.unwrap_or_else(|refused| refused)
}

fn json_response(content_type: &'static str, value: &impl serde::Serialize) -> Response {
    // Strings, numbers and maps always serialise.
    let body = serde_json::to_string_pretty(value).unwrap_or_default() + "\n";
    json_body(content_type, body)
}

fn json_body(content_type: &'static str, body: String) -> Response {
    (
        [
            (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ],
        body,
    )
        .into_response()
}

async fn index(
    State(ServerState { sources, .. }): State<ServerState>,
    nested: Result<NestedPath, NestedPathRejection>,
) -> Response {
    let registry = &sources.gatherer.registry;
    // Relative links, so that they work behind a proxy that strips a prefix. The address of a nested index page has no
    // `/` at its end, so relative links must repeat its last segment.
    let own = escape(&last_part(nested).map_or_else(String::new, |part| part + "/"));
    let row = |path: &str, what: &str| {
        let below = path.trim_start_matches('/');
        format!("<li><a href=\"./{own}{below}\">{path}</a><span>{what}</span></li>")
    };
    let rows = [
        #[cfg(feature = "otlp")]
        row(
            super::dashboard::TRACES,
            "live traces: recent, slowest, failed, open",
        ),
        row(
            &sources.options.metrics_path,
            "Prometheus text or OpenMetrics",
        ),
        row(
            &format!("{}?format=json", sources.options.metrics_path),
            "the same series as JSON",
        ),
        row(&sources.options.health_path, "health"),
        row(STATUS, "status of the observatory"),
        row(
            super::profiles::SPANS,
            "self and idle time of spans by path",
        ),
        #[cfg(feature = "profiling")]
        row(
            &format!("{}?seconds=10&format=svg", super::profiles::CPU),
            "CPU profile as a flame graph",
        ),
        #[cfg(feature = "alerting")]
        row(
            "/api/v1/query?query=sum(rate(observatory_observations_total[5m]))",
            "PromQL queries, also for Grafana",
        ),
        #[cfg(feature = "alerting")]
        row("/api/v1/alerts", "pending and firing alerts"),
        #[cfg(feature = "alerting")]
        row("/api/v1/rules", "alerting and recording rules"),
        #[cfg(feature = "alerting")]
        row(
            "/api/observatory/alerts/history",
            "history of notifications",
        ),
        #[cfg(feature = "otlp")]
        row("/api/observatory/traces", "the same traces as JSON"),
    ];
    let page = include_str!("index.html")
        .replace("{service}", &escape(&sources.service))
        .replace("{version}", env!("CARGO_PKG_VERSION"))
        .replace("{series}", &registry.series_count().to_string())
        .replace(
            "{observations}",
            &registry
                .counter_total("observatory_observations_total")
                .to_string(),
        )
        .replace("{rows}", &rows.concat());
    let policy = HeaderValue::from_static(POLICY);
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(page)).into_response()
}

/// Returns the last segment of the path that the routes are nested under.
pub(super) fn last_part(nested: Result<NestedPath, NestedPathRejection>) -> Option<String> {
    let nested = nested.ok()?;
    let path = nested.as_str().trim_end_matches('/');
    path.rsplit('/').next().map(str::to_owned)
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

async fn not_found(State(ServerState { sources, .. }): State<ServerState>) -> Response {
    let text = format!(
        "not found; the endpoints are {}, {}, {STATUS} and those that / lists\n",
        sources.options.metrics_path, sources.options.health_path
    );
    (StatusCode::NOT_FOUND, text).into_response()
}
