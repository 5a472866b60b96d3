//! Authorises the requests that change something.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};

use super::error_response;
use crate::server::endpoints::ServerState;

/// Passes authorised requests on; answers the others with the requirement that they do not meet.
pub(super) async fn guard(
    State(state): State<ServerState>,
    request: Request,
    next: Next,
) -> Response {
    if request.method() == Method::GET {
        return next.run(request).await;
    }
    let token = state.sources.options.api_token.as_ref();
    // The address of an application's own server is unknown; it may not be a loopback address.
    let is_loopback = state
        .address
        .is_some_and(|address| address.ip().is_loopback());
    match token {
        Some(token) if !has_token(request.headers(), token.expose()) => {
            return error_response(
                StatusCode::UNAUTHORIZED,
                "this needs the header `authorization: Bearer …` with the configured token",
            );
        }
        None if !is_loopback => {
            return error_response(
                StatusCode::FORBIDDEN,
                "the server listens beyond this machine, so this needs a token: set OBSERVATORY_TOKEN",
            );
        }
        Some(_) | None => {}
    }
    let is_json = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/json"));
    // A page of another origin can post a form, but needs a CORS preflight for JSON and for DELETE.
    if request.method() == Method::POST && !is_json {
        return error_response(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "this needs the header `content-type: application/json`",
        );
    }
    next.run(request).await
}

/// Compares the token in constant time, so that the response time does not reveal how many bytes are equal.
pub(in crate::server) fn has_token(headers: &HeaderMap, token: &str) -> bool {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    let pairs = given.bytes().zip(token.bytes());
    let differences = pairs.fold(0, |found, (a, b)| found | (a ^ b));
    given.len() == token.len() && differences == 0
}
