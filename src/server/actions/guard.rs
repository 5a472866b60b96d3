//! Authorises the requests that change something.

use axum::{
    extract::{Request, State},
    http::{Method, StatusCode, header},
    middleware::Next,
    response::Response,
};

use super::error_response;
use crate::server::{endpoints::ServerState, token::has_token};

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
