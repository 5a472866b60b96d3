//! The JSON envelope of every response: `{"status":"success","data":…}` or `{"status":"error",…}`.

use std::io::Write as _;

use super::pieces::Pieces;
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use flate2::{Compression, write::GzEncoder};
use serde::Serialize;

use crate::{query::engine::QueryError, server::negotiate};

/// The minimum size of a compressed response. Smaller responses fit one packet, so compression gains nothing.
const MIN_COMPRESSED_BYTES: usize = 1_400;

/// An error, with the type and the status code that Prometheus's API gives it.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    kind: &'static str,
    message: String,
    is_over_budget: bool,
}

impl ApiError {
    pub(super) fn bad_data(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_data", message)
    }

    /// Returns the error `invalid parameter "time": …`.
    pub(super) fn parameter(name: &str, message: impl std::fmt::Display) -> Self {
        Self::bad_data(format!("invalid parameter {name:?}: {message}"))
    }

    pub(super) fn timeout(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", message)
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
            is_over_budget: false,
        }
    }

    /// Returns the error of a query beyond the memory of all queries under way.
    pub(super) fn over_budget(message: String) -> Self {
        Self {
            is_over_budget: true,
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "execution", message)
        }
    }

    pub(super) fn is_over_budget(&self) -> bool {
        self.is_over_budget
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        if let QueryError::OverBudget(message) = error {
            return Self::over_budget(message);
        }
        let kind = error.api_type();
        let status = match kind {
            "bad_data" => StatusCode::BAD_REQUEST,
            "execution" => StatusCode::UNPROCESSABLE_ENTITY,
            // `timeout` and `canceled`.
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, kind, error.to_string())
    }
}

/// A response, serialised as a whole or up to its first piece.
pub(super) struct Encoded {
    body: Vec<u8>,
    /// The pieces after the first.
    rest: Option<Pieces>,
    is_compressed: bool,
}

#[derive(Serialize)]
struct Success<T> {
    status: &'static str,
    data: T,
}

impl Encoded {
    /// Serialises `data` as a success.
    pub(super) fn success(data: impl Serialize) -> Self {
        let status = "success";
        // Strings, numbers, lists and maps always serialise.
        let body = serde_json::to_vec(&Success { status, data });
        Self::whole(body.unwrap_or_default())
    }

    pub(super) fn whole(body: Vec<u8>) -> Self {
        Self {
            body,
            rest: None,
            is_compressed: false,
        }
    }

    /// Encodes a success up to its first piece.
    pub(super) fn in_pieces(mut pieces: Pieces) -> Self {
        let body = pieces.piece();
        Self {
            rest: (!pieces.is_complete()).then_some(pieces),
            ..Self::whole(body)
        }
    }

    pub(super) fn compressed(mut self, is_requested: bool) -> Self {
        if !is_requested || self.body.len() < MIN_COMPRESSED_BYTES {
            return self;
        }
        self.is_compressed = true;
        if self.rest.is_some() {
            return self;
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        // Writing to a vector cannot fail. If it did, the uncompressed body would be sent.
        match encoder
            .write_all(&self.body)
            .and_then(|()| encoder.finish())
        {
            Ok(body) => self.body = body,
            Err(_) => self.is_compressed = false,
        }
        self
    }

    pub(super) fn into_response(self) -> Response {
        let body = match self.rest {
            Some(rest) => rest.into_body(self.body, self.is_compressed),
            None => Body::from(self.body),
        };
        let mut response = json(StatusCode::OK, body);
        if self.is_compressed {
            let gzip = HeaderValue::from_static("gzip");
            response
                .headers_mut()
                .insert(header::CONTENT_ENCODING, gzip);
        }
        response
    }
}

/// Returns the text before and after the items of a list in a success; `before` and `after` are a part of it.
pub(super) fn envelope(
    (before, after): (&str, &str),
    warnings: &[String],
    infos: &[String],
) -> (Vec<u8>, Vec<u8>) {
    let mut suffix = after.as_bytes().to_vec();
    for (key, list) in [("warnings", warnings), ("infos", infos)] {
        if !list.is_empty() {
            suffix.extend(format!(",\"{key}\":{}", serde_json::json!(list)).into_bytes());
        }
    }
    suffix.push(b'}');
    let prefix = format!("{{\"status\":\"success\",\"data\":{before}");
    (prefix.into_bytes(), suffix)
}

/// Returns the response for an error.
pub(super) fn error(error: &ApiError) -> Response {
    let envelope = serde_json::json!({
        "status": "error",
        "errorType": error.kind,
        "error": error.message,
    });
    json(error.status, Body::from(envelope.to_string()))
}

pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(negotiate::accepts_gzip)
}

fn json(status: StatusCode, body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "accept-encoding"),
    ];
    (status, headers, body).into_response()
}
