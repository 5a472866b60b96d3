//! The requests that the server refuses, each with its reason, its status and a counter.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};

use super::Sources;
use crate::metrics::catalog;

/// The reason of a refusal.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refusal {
    /// The queries under way hold all of their memory.
    #[cfg(feature = "alerting")]
    QueryBytes,
    /// All places for such requests stay occupied.
    Busy,
    BodyTimeout,
    BodySize,
    Host,
    Origin,
    /// An endpoint in a router of the application requires a token.
    #[cfg(feature = "http")]
    Token,
}

impl Refusal {
    /// Counts a request that is refused for this reason, and logs the first such request.
    pub(super) fn count(self, sources: &Sources, message: &str) {
        let registry = &sources.gatherer.registry;
        let reason = match self {
            #[cfg(feature = "alerting")]
            Self::QueryBytes => "query_bytes",
            Self::Busy => "busy",
            Self::BodyTimeout => "body_timeout",
            Self::BodySize => "body_size",
            Self::Host => "host",
            Self::Origin => "origin",
            #[cfg(feature = "http")]
            Self::Token => "token",
        };
        let labels = [("reason", reason)];
        let counter = registry.counter(&catalog::SERVER_REFUSED, &labels);
        counter.add(1);
        if counter.value().whole == 1 {
            registry.diagnostics().notice(format!(
                "server: a request was refused ({reason}): {message} (logged once; counted in {})",
                catalog::SERVER_REFUSED.name
            ));
        }
    }

    /// Counts the request, and returns the answer in the format of Prometheus's API.
    pub(super) fn answer(self, sources: &Sources, message: &str) -> Response {
        self.count(sources, message);
        let (status, kind) = match self {
            #[cfg(feature = "alerting")]
            Self::QueryBytes => (StatusCode::SERVICE_UNAVAILABLE, "execution"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, "timeout"),
            Self::BodySize => (StatusCode::PAYLOAD_TOO_LARGE, "bad_data"),
            Self::Host => (StatusCode::MISDIRECTED_REQUEST, "bad_data"),
            Self::Origin => (StatusCode::FORBIDDEN, "bad_data"),
            #[cfg(feature = "http")]
            Self::Token => (StatusCode::UNAUTHORIZED, "bad_data"),
        };
        error(status, kind, message)
    }
}

/// Returns the answer to a request whose handler failed.
pub(super) fn internal(message: &str) -> Response {
    error(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
}

/// Returns an error in the format of Prometheus's API.
fn error(status: StatusCode, kind: &str, message: &str) -> Response {
    let body = serde_json::json!({ "status": "error", "errorType": kind, "error": message });
    let json = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, json)], format!("{body}\n")).into_response()
}
