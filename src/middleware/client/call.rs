//! The span of one outgoing HTTP request, and the state that is recorded in it when the response ends.

use std::fmt::Display;

use bytes::Buf;
use http::{HeaderMap, Response, StatusCode};
use http_body::Body;
use tracing::{Span, field::Empty, info_span, record_all};

use crate::middleware::{
    context,
    observer::{BodyObserver, CallObserver, Completion, failed_status},
};

/// A request in progress. A call that is dropped before its end is recorded as cancelled.
#[derive(Debug)]
pub struct ClientCall {
    span: Span,
    response_bytes: u64,
    status: Option<StatusCode>,
    completion: Completion,
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
            status: None,
            completion: Completion::Open,
        })
    }

    fn record_end(&self) {
        let (error_type, status) = match (self.completion, &self.status) {
            (Completion::Complete, Some(code)) if code.as_u16() >= 500 => {
                (Some(code.as_str()), "error")
            }
            (Completion::Complete, _) => (None, "success"),
            (Completion::Failed(class), _) => (Some(class), failed_status(class)),
            (Completion::Open, _) => (None, "cancelled"),
        };
        record_all!(
            self.span,
            observatory.ended = true,
            error.r#type = error_type,
            http.response.body.size = self.status.map(|_| self.response_bytes),
            http.response.status_code = self.status.map(|code| code.as_u16()),
            status = status,
        );
    }
}

impl Drop for ClientCall {
    fn drop(&mut self) {
        self.record_end();
    }
}

impl CallObserver for ClientCall {
    fn span(&self) -> &Span {
        &self.span
    }

    fn set_polling(&mut self, _: bool) {}

    fn on_response<B: Body>(mut self, response: &Response<B>) -> Option<Self> {
        self.status = Some(response.status());
        if response.body().is_end_stream() {
            self.on_end();
            return None;
        }
        Some(self)
    }

    fn completion(&mut self) -> &mut Completion {
        &mut self.completion
    }
}

impl<D: Buf> BodyObserver<D> for ClientCall {
    fn on_data(&mut self, data: &D) -> bool {
        self.response_bytes += data.remaining() as u64;
        false
    }
}
