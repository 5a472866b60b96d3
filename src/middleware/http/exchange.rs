//! One exchange: its span, and what is known of it until it ends.

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
use crate::middleware::{body::Watch, context};

/// nginx's code for a client that left before it was answered.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// An exchange under way. Dropped before its end, its client left.
#[derive(Debug)]
pub struct Exchange {
    span: Span,
    request_bytes: Option<Bytes>,
    response_bytes: u64,
    /// Bytes after which nobody asks for more.
    expected_bytes: Option<u64>,
    status_code: Option<u16>,
    is_head: bool,
    is_polling: bool,
    end: End,
    /// Headers are captured.
    capturing: Option<Arc<Shared>>,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug)]
enum End {
    /// Not yet: dropped now, its client left.
    Open,
    /// With the last byte.
    Whole,
    /// With an error of this class.
    Failed(&'static str),
}

impl Exchange {
    /// Opens the span of a request; `None` where nobody wants it.
    pub(super) fn begin(
        request: &request::Parts,
        has_no_body: bool,
        shared: &Arc<Shared>,
    ) -> Option<Self> {
        let options = &shared.options;
        let is_sampled = shared.sampler.takes_next(options.sampling);
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
            // Behind the route, which is what sampling rules go by where there is one.
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
            let headers = printed(shared, &request.headers);
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
            end: End::Open,
            capturing,
        })
    }

    /// What counts the request's body; `None` where it has none.
    pub(super) fn request_counter(&self) -> Option<Bytes> {
        self.request_bytes.clone()
    }

    pub(super) const fn span(&self) -> &Span {
        &self.span
    }

    pub(super) const fn polling(&mut self, is_polling: bool) {
        self.is_polling = is_polling;
    }

    /// The head of the answer is there; `None` where that was all.
    pub(super) fn answered<B: Body>(mut self, response: &Response<B>) -> Option<Self> {
        let status = response.status();
        self.status_code = Some(status.as_u16());
        if let Some(shared) = &self.capturing {
            let headers = printed(shared, response.headers());
            self.span.record("http.response.headers", display(headers));
        }
        let body = response.body();
        // A server that knows the length sends so much, and does not ask whether that was all.
        self.expected_bytes = content_length(response.headers()).or(body.size_hint().exact());
        let is_empty = body.is_end_stream() || self.expected_bytes == Some(0);
        if is_empty || self.is_head || has_no_body(status) {
            self.end = End::Whole;
            return None;
        }
        Some(self)
    }

    /// The service failed before it had an answer.
    pub(super) fn broke(mut self, class: &'static str) {
        self.end = End::Failed(class);
    }

    /// Records how it went. Its span closes next.
    fn settle(&self) {
        let request_size = self.request_bytes.as_ref().map_or(0, Bytes::count);
        let response_size = self.response_bytes;
        let has_panicked = self.is_polling || std::thread::panicking();
        match self.end {
            End::Whole => {
                record_all!(
                    self.span,
                    observatory.ended = true,
                    http.request.body.size = request_size,
                    http.response.body.size = response_size,
                    http.response.status_code = self.status_code,
                );
            }
            End::Failed(class) => {
                record_all!(
                    self.span,
                    observatory.ended = true,
                    error.r#type = class,
                    http.request.body.size = request_size,
                    http.response.body.size = response_size,
                    // Without an answer, the status says what kind of failure it was.
                    http.response.status_code = self.status_code,
                    status = if class == "timeout" {
                        "timeout"
                    } else {
                        "error"
                    },
                );
            }
            // The Layer saw the panic go through the span.
            End::Open if has_panicked => {
                record_all!(
                    self.span,
                    observatory.ended = true,
                    http.request.body.size = request_size,
                    http.response.body.size = response_size,
                    http.response.status_code = StatusCode::INTERNAL_SERVER_ERROR.as_u16(),
                    status = "error",
                );
            }
            End::Open => {
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
        self.settle();
    }
}

impl<D: Buf> Watch<D> for Exchange {
    fn span(&self) -> &Span {
        &self.span
    }

    fn set_polling(&mut self, is_polling: bool) {
        self.is_polling = is_polling;
    }

    fn data(&mut self, data: &D) -> bool {
        self.response_bytes += data.remaining() as u64;
        self.expected_bytes
            .is_some_and(|expected| self.response_bytes >= expected)
    }

    fn trailers(&mut self, _: &HeaderMap) -> bool {
        true
    }

    fn whole(mut self) {
        self.end = End::Whole;
    }

    fn failed(mut self, class: &'static str) {
        self.end = End::Failed(class);
    }
}

fn printed<'h>(shared: &'h Shared, headers: &'h HeaderMap) -> Captured<'h> {
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

/// Statuses whose body, if there is one, is not sent.
fn has_no_body(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}
