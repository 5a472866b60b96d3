//! The span of one HTTP request, and the state that is recorded in it when the response ends.

use std::sync::Arc;

use axum::extract::MatchedPath;
use bytes::Buf;
use http::{HeaderMap, Method, Response, StatusCode, header, request};
use http_body::Body;
use tracing::{
    Span,
    field::{Empty, display},
    info_span, record_all,
};

use super::{Bytes, headers::Captured, layer::Shared};
use crate::middleware::{
    context,
    observer::{BodyObserver, CallObserver, Completion, failed_status},
};

/// nginx's status code for a client that disconnected before the response was complete.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// A request and its response, in progress. An exchange that is dropped before its end is recorded as cancelled by the
/// client.
#[derive(Debug)]
pub struct Exchange {
    span: Span,
    request_bytes: Option<Bytes>,
    response_bytes: u64,
    /// The length of the response body, after which the server polls the body no more.
    expected_bytes: Option<u64>,
    status_code: Option<u16>,
    is_head: bool,
    is_polling: bool,
    completion: Completion,
    /// The options of header capture; `None` if headers are not captured.
    capturing: Option<Arc<Shared>>,
}

impl Exchange {
    /// Opens the span of a request; returns `None` if the span is disabled.
    pub(super) fn begin(
        request: &request::Parts,
        has_no_body: bool,
        shared: &Arc<Shared>,
    ) -> Option<Self> {
        let options = &shared.options;
        let is_sampled = shared.sampler.samples_next(options.sampling);
        let method = request.method.as_str();
        let route = request
            .extensions
            .get::<MatchedPath>()
            .map_or("unmatched", MatchedPath::as_str);
        let create = || {
            info_span!(
                "http_request",
                otel.kind = "server",
                otel.name = display(format_args!("{method} {route}")),
                error.r#type = Empty,
                http.request.method = method,
                http.route = route,
                // After the route: sampling rules match the first of the two fields that exists.
                url.path = request.uri.path(),
                url.scheme = request.uri.scheme_str().unwrap_or("http"),
                http.request.body.size = Empty,
                http.response.body.size = Empty,
                http.response.status_code = Empty,
                http.request.headers = Empty,
                http.response.headers = Empty,
                status = Empty,
                observatory.ended = Empty,
            )
        };
        let span = context::received(&request.headers, is_sampled, create);
        if span.is_disabled() {
            return None;
        }
        let capturing = (options.captures_headers && is_sampled).then(|| shared.clone());
        if let Some(shared) = &capturing {
            let headers = captured(shared, &request.headers);
            span.record("http.request.headers", display(headers));
        }
        Some(Self {
            span,
            request_bytes: (!has_no_body).then(Bytes::default),
            response_bytes: 0,
            expected_bytes: None,
            status_code: None,
            is_head: request.method == Method::HEAD,
            is_polling: false,
            completion: Completion::Open,
            capturing,
        })
    }

    /// Returns the counter of the request body; `None` if the request has no body.
    pub(super) fn request_counter(&self) -> Option<Bytes> {
        self.request_bytes.clone()
    }

    /// Records the end of the exchange in its span, which closes next.
    fn record_end(&self) {
        let has_panicked = self.is_polling || std::thread::panicking();
        let (status_code, error_type, status) = match self.completion {
            Completion::Complete => (self.status_code, None, None),
            Completion::Failed(class) => {
                (self.status_code, Some(class), Some(failed_status(class)))
            }
            Completion::Open if has_panicked => {
                let code = StatusCode::INTERNAL_SERVER_ERROR.as_u16();
                (Some(code), None, Some("error"))
            }
            Completion::Open => (Some(CLIENT_CLOSED_REQUEST), None, Some("cancelled")),
        };
        record_all!(
            self.span,
            observatory.ended = true,
            error.r#type = error_type,
            http.request.body.size = self.request_bytes.as_ref().map_or(0, Bytes::count),
            http.response.body.size = self.response_bytes,
            http.response.status_code = status_code,
            status = status,
        );
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.record_end();
    }
}

impl CallObserver for Exchange {
    fn span(&self) -> &Span {
        &self.span
    }

    fn set_polling(&mut self, is_polling: bool) {
        self.is_polling = is_polling;
    }

    fn on_response<B: Body>(mut self, response: &Response<B>) -> Option<Self> {
        let status = response.status();
        self.status_code = Some(status.as_u16());
        if let Some(shared) = &self.capturing {
            let headers = captured(shared, response.headers());
            self.span.record("http.response.headers", display(headers));
        }
        let body = response.body();
        // A server that knows the length of the body does not poll for its end.
        self.expected_bytes = content_length(response.headers()).or(body.size_hint().exact());
        let is_empty = body.is_end_stream() || self.expected_bytes == Some(0);
        if is_empty || self.is_head || has_no_body(status) {
            self.completion = Completion::Complete;
            return None;
        }
        Some(self)
    }

    fn completion(&mut self) -> &mut Completion {
        &mut self.completion
    }
}

impl<D: Buf> BodyObserver<D> for Exchange {
    fn on_data(&mut self, data: &D) -> bool {
        self.response_bytes += data.remaining() as u64;
        self.expected_bytes
            .is_some_and(|expected| self.response_bytes >= expected)
    }
}

fn captured<'h>(shared: &'h Shared, headers: &'h HeaderMap) -> Captured<'h> {
    Captured {
        headers,
        redacted: &shared.options.redacted_headers,
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// Returns `true` if responses with this status never have a body.
fn has_no_body(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}
