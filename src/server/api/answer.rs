//! The JSON envelope of every response: `{"status":"success","data":…}` or `{"status":"error",…}`.

use std::io::Write as _;

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
        }
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
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

/// A serialised response.
#[derive(Debug)]
pub(super) struct Encoded {
    body: Vec<u8>,
    is_compressed: bool,
}

#[derive(Serialize)]
struct Success<'a, T> {
    status: &'static str,
    data: T,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    infos: &'a [String],
}

impl Encoded {
    /// Serialises `data` as a success.
    pub(super) fn success(data: impl Serialize) -> Self {
        Self::with_annotations(data, &[], &[])
    }

    /// Serialises `data` as a success with warnings and infos.
    pub(super) fn with_annotations(
        data: impl Serialize,
        warnings: &[String],
        infos: &[String],
    ) -> Self {
        let envelope = Success {
            status: "success",
            data,
            warnings,
            infos,
        };
        Self {
            // Strings, numbers, lists and maps always serialise.
            body: serde_json::to_vec(&envelope).unwrap_or_default(),
            is_compressed: false,
        }
    }

    pub(super) fn compressed(self, is_requested: bool) -> Self {
        if !is_requested || self.body.len() < MIN_COMPRESSED_BYTES {
            return self;
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        // Writing to a vector cannot fail. If it did, the uncompressed body would be sent.
        match encoder
            .write_all(&self.body)
            .and_then(|()| encoder.finish())
        {
            Ok(body) => Self {
                body,
                is_compressed: true,
            },
            Err(_) => self,
        }
    }

    pub(super) fn into_response(self) -> Response {
        let mut response = json(StatusCode::OK, self.body);
        if self.is_compressed {
            let gzip = HeaderValue::from_static("gzip");
            response
                .headers_mut()
                .insert(header::CONTENT_ENCODING, gzip);
        }
        response
    }
}

/// Returns the response for an error.
pub(super) fn error(error: &ApiError) -> Response {
    let envelope = serde_json::json!({
        "status": "error",
        "errorType": error.kind,
        "error": error.message,
    });
    json(error.status, envelope.to_string().into_bytes())
}

pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(negotiate::accepts_gzip)
}

fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "accept-encoding"),
    ];
    (status, headers, Body::from(body)).into_response()
}
