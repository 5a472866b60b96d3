//! The routes of the server, and the endpoints for metrics, health and status.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::from_fn_with_state,
    response::{IntoResponse as _, Response},
    routing::get,
};

#[cfg(feature = "http")]
use super::{EndpointAccess, ServerOptions};
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
pub(crate) const STATUS: &str = "/status";

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

/// Returns the routes of metrics, health and status with their access, for a server of the application.
#[cfg(feature = "http")]
pub(crate) fn mounted_essentials(
    sources: Sources,
    [of_metrics, of_health, of_status]: [EndpointAccess; 3],
) -> Router {
    let state = ServerState::new(Arc::new(sources), None);
    let ServerOptions { metrics_path, .. } = &state.sources.options;
    let open = of_metrics.mount(Router::new(), metrics_path, get(scrape), &state);
    let open = super::health::routes(&state, true)
        .into_iter()
        .fold(open, |open, (path, route)| {
            of_health.clone().mount(open, &path, route, &state)
        });
    let guarded = of_status.mount(Router::new(), STATUS, get(status), &state);
    finish(open, guarded, &state).with_state(state)
}

fn routes(state: &ServerState) -> Router<ServerState> {
    let router = Router::new()
        .route(STATUS, get(status))
        .merge(super::dashboard::router())
        .merge(super::profiles::router(state));
    #[cfg(feature = "alerting")]
    let router = router
        .merge(super::api::router())
        .merge(super::actions::router(state))
        .merge(super::runbooks::router());
    #[cfg(feature = "health")]
    let router = router.merge(super::tasks::router());
    #[cfg(feature = "otlp")]
    let router = router.merge(super::traces::router());
    #[cfg(feature = "health")]
    let router = router.route(
        "/api/observatory/health/history",
        get(super::health::history),
    );
    let open = Router::new().route(&state.sources.options.metrics_path, get(scrape));
    let open = super::health::routes(state, false)
        .into_iter()
        .fold(open, |open, (path, route)| open.route(&path, route));
    finish(open, router, state)
}

/// Joins the open routes, which answer under every name and have a budget of their own, and the guarded routes.
fn finish(
    open: Router<ServerState>,
    guarded: Router<ServerState>,
    state: &ServerState,
) -> Router<ServerState> {
    let guarded = guarded
        .layer(from_fn_with_state(state.clone(), body::account))
        .layer(from_fn_with_state(state.clone(), hosts::check));
    open.merge(guarded)
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
        token.is_some_and(|token| super::token::has_token(headers, token.expose()))
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

async fn status(State(state): State<ServerState>) -> Response {
    let address = state.address;
    let read = move |sources: &Sources| json_body("application/json", (sources.status)(address));
    let answered = state.places.run(&state.sources, read).await;
    answered.unwrap_or_else(|refused| refused)
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

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

async fn not_found(State(ServerState { sources, .. }): State<ServerState>) -> Response {
    let text = format!(
        "not found; the endpoints are {}, {}, {STATUS} and the page at /\n",
        sources.options.metrics_path, sources.options.health_path
    );
    (StatusCode::NOT_FOUND, text).into_response()
}
