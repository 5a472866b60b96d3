//! The span of one outgoing HTTP request, and the state that is recorded in it when the response ends.

use std::fmt::Display;

use bytes::Buf;
use http::{HeaderMap, StatusCode};
use tracing::{Span, field::Empty, info_span, record_all};

use crate::middleware::{body::BodyObserver, context};

/// A request in progress. A call that is dropped before its end is recorded as cancelled.
#[derive(Debug)]
pub struct ClientCall {
    span: Span,
    response_bytes: u64,
    status_code: Option<u16>,
    completion: Completion,
}

#[derive(Clone, Copy, Debug)]
enum Completion {
    Open,
    Complete,
    Failed(&'static str),
}

/// A request that is about to be sent.
pub(super) struct Outgoing<'a> {
    pub(super) peer: &'a str,
    pub(super) method: &'a str,
    /// The address without credentials and query, which may hold secrets.
    pub(super) url: &'a (dyn Display + Sync),
    pub(super) bytes: Option<u64>,
}

impl ClientCall {
    /// Opens the span of an outgoing request, and injects its context into the headers; returns `None` if the span is
    /// disabled.
    pub(super) fn begin(request: &Outgoing<'_>, headers: &mut HeaderMap) -> Option<Self> {
        let Outgoing {
            peer,
            method,
            url,
            bytes: request_bytes,
        } = *request;
        let span = info_span!(
            "http_request",
            otel.kind = "client",
            otel.name = display(format_args!("{method} {peer}")),
            error.r#type = Empty,
            http.request.method = method,
            peer.service = peer,
            url.full = display(url),
            http.request.body.size = request_bytes,
            http.response.body.size = Empty,
            http.response.status_code = Empty,
            status = Empty,
            observatory.ended = Empty,
        );
        context::inject(&span, headers);
        (!span.is_disabled()).then_some(Self {
            span,
            response_bytes: 0,
            status_code: None,
            completion: Completion::Open,
        })
    }

    pub(super) const fn span(&self) -> &Span {
        &self.span
    }

    /// Handles the head of the response.
    pub(super) fn on_response(&mut self, status: StatusCode) {
        self.status_code = Some(status.as_u16());
    }

    /// Records that the request failed without a response, with this error class.
    pub(super) fn fail(mut self, class: &'static str) {
        self.completion = Completion::Failed(class);
    }

    /// Records that the response is complete.
    pub(super) fn complete(mut self) {
        self.completion = Completion::Complete;
    }

    fn record_end(&self) {
        let status_code = self.status_code;
        let response_size = status_code.map(|_| self.response_bytes);
        let code = status_code.unwrap_or(0);
        match self.completion {
            Completion::Complete if code >= 500 => {
                record_all!(
                    self.span,
                    observatory.ended = true,
                    error.r#type = display(code),
                    http.response.body.size = response_size,
                    http.response.status_code = status_code,
                    status = "error",
                );
            }
            Completion::Complete => {
                record_all!(
                    self.span,
                    observatory.ended = true,
                    http.response.body.size = response_size,
                    http.response.status_code = status_code,
                    status = "success",
                );
            }
            Completion::Failed(class) => {
                record_all!(
                    self.span,
                    observatory.ended = true,
                    error.r#type = class,
                    http.response.body.size = response_size,
                    http.response.status_code = status_code,
                    status = if class == "timeout" {
                        "timeout"
                    } else {
                        "error"
                    },
                );
            }
            Completion::Open => {
                record_all!(
                    self.span,
                    observatory.ended = true,
                    http.response.body.size = response_size,
                    http.response.status_code = status_code,
                    status = "cancelled",
                );
            }
        }
    }
}

impl Drop for ClientCall {
    fn drop(&mut self) {
        self.record_end();
    }
}

impl<D: Buf> BodyObserver<D> for ClientCall {
    fn span(&self) -> &Span {
        &self.span
    }

    fn set_polling(&mut self, _: bool) {}

    fn on_data(&mut self, data: &D) -> bool {
        self.response_bytes += data.remaining() as u64;
        false
    }

    fn on_trailers(&mut self, _: &HeaderMap) -> bool {
        true
    }

    fn on_end(self) {
        self.complete();
    }

    fn on_error(self, class: &'static str) {
        self.fail(class);
    }
}
