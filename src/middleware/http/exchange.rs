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
use crate::middleware::{body::BodyObserver, context};

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

/// The end of an exchange.
#[derive(Clone, Copy, Debug)]
enum Completion {
    /// Not ended. If the exchange is dropped in this state, the client disconnected.
    Open,
    /// Ended with the last byte.
    Complete,
    /// Ended with an error of this class.
    Failed(&'static str),
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
        let span = info_span!(
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
        );
        if span.is_disabled() {
            return None;
        }
        context::extract(&span, &request.headers, is_sampled);
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

    pub(super) const fn span(&self) -> &Span {
        &self.span
    }

    pub(super) const fn mark_polling(&mut self, is_polling: bool) {
        self.is_polling = is_polling;
    }

    /// Handles the head of the response; returns `None` if the response ends with it.
    pub(super) fn on_response<B: Body>(mut self, response: &Response<B>) -> Option<Self> {
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

    /// Records that the service failed without a response, with this error class.
    pub(super) fn fail(mut self, class: &'static str) {
        self.completion = Completion::Failed(class);
    }

    /// Records the end of the exchange in its span, which closes next.
    fn record_end(&self) {
        let request_size = self.request_bytes.as_ref().map_or(0, Bytes::count);
        let response_size = self.response_bytes;
        let has_panicked = self.is_polling || std::thread::panicking();
        match self.completion {
            Completion::Complete => {
                record_all!(
                    self.span,
                    observatory.ended = true,
                    http.request.body.size = request_size,
                    http.response.body.size = response_size,
                    http.response.status_code = self.status_code,
                );
            }
            Completion::Failed(class) => {
                record_all!(
                    self.span,
                    observatory.ended = true,
                    error.r#type = class,
                    http.request.body.size = request_size,
                    http.response.body.size = response_size,
                    // Without a response, `status` carries the kind of the failure.
                    http.response.status_code = self.status_code,
                    status = if class == "timeout" {
                        "timeout"
                    } else {
                        "error"
                    },
                );
            }
            // The Layer detects the panic itself when the span closes during unwinding.
            Completion::Open if has_panicked => {
                record_all!(
                    self.span,
                    observatory.ended = true,
                    http.request.body.size = request_size,
                    http.response.body.size = response_size,
                    http.response.status_code = StatusCode::INTERNAL_SERVER_ERROR.as_u16(),
                    status = "error",
                );
            }
            Completion::Open => {
                record_all!(
                    self.span,
                    observatory.ended = true,
                    http.request.body.size = request_size,
                    http.response.body.size = response_size,
                    http.response.status_code = CLIENT_CLOSED_REQUEST,
                    status = "cancelled",
                );
            }
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.record_end();
    }
}

impl<D: Buf> BodyObserver<D> for Exchange {
    fn span(&self) -> &Span {
        &self.span
    }

    fn set_polling(&mut self, is_polling: bool) {
        self.is_polling = is_polling;
    }

    fn on_data(&mut self, data: &D) -> bool {
        self.response_bytes += data.remaining() as u64;
        self.expected_bytes
            .is_some_and(|expected| self.response_bytes >= expected)
    }

    fn on_trailers(&mut self, _: &HeaderMap) -> bool {
        true
    }

    fn on_end(mut self) {
        self.completion = Completion::Complete;
    }

    fn on_error(mut self, class: &'static str) {
        self.completion = Completion::Failed(class);
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
