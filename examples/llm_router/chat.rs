//! A small chat page against the router's own API, so that a person can make a request and watch it appear on the
//! dashboard.

use std::net::SocketAddr;

use axum::Router;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;

/// No inline script or style, and no resource of another server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// Returns the routes of the page, which links to the dashboard at `monitor`.
pub(crate) fn routes(monitor: Option<SocketAddr>) -> Router {
    let dashboard = monitor.map_or_else(String::new, |address| format!("http://{address}/"));
    let page = include_str!("chat/index.html").replace("{dashboard}", &dashboard);
    Router::new()
        .route("/", get(async || file("text/html", page)))
        .route(
            "/chat.css",
            get(async || file("text/css", include_str!("chat/chat.css"))),
        )
        .route(
            "/chat.js",
            get(async || file("text/javascript", include_str!("chat/chat.js"))),
        )
}

fn file(kind: &'static str, text: impl IntoResponse) -> impl IntoResponse {
    let kind = format!("{kind}; charset=utf-8");
    (
        [
            (CONTENT_TYPE, kind),
            (CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        ],
        text,
    )
}
