//! The span of one gRPC call, and the state that is recorded in it when the call ends.

use http::{HeaderMap, Response, StatusCode};
use tracing::{Span, field::Empty, info_span, record_all};

use super::frames::{Frames, Messages};
use crate::{
    middleware::{
        context,
        observer::{BodyObserver, CallObserver, Completion, failed_status},
    },
    observation::RpcStatus,
};

/// The semantic conventions' value for a method that the server does not implement.
const UNKNOWN_METHOD: &str = "_OTHER";

/// A call in progress. A call that is dropped before its end is recorded as cancelled by the caller.
#[derive(Debug)]
pub struct Call {
    span: Span,
    side: Side,
    request: Messages,
    response_bytes: u64,
    response_messages: u64,
    frames: Frames,
    status: Option<RpcStatus>,
    /// True if the service was pending, which shows that it implements the method.
    was_pending: bool,
    is_polling: bool,
    completion: Completion,
}

/// The side of a call that this process is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Server,
    Client,
}

/// Opens the span of a call, with the fields of both sides.
macro_rules! call_span {
    ($kind:literal, $method:expr, $($peer:tt)*) => {
        info_span!(
            "grpc_request",
            otel.kind = $kind,
            otel.name = $method,
            error.r#type = Empty,
            $($peer)*
            rpc.system.name = "grpc",
            rpc.method = $method,
            rpc.response.status_code = Empty,
            rpc.messages.received = Empty,
            rpc.messages.sent = Empty,
            http.request.body.size = Empty,
            http.response.body.size = Empty,
            status = Empty,
            observatory.ended = Empty,
        )
    };
}

impl Call {
    /// Opens the span of an incoming call; returns `None` if the span is disabled.
    pub(super) fn serve(path: &str, scheme: Option<&str>, headers: &HeaderMap) -> Option<Self> {
        let method = method(path);
        let scheme = scheme.unwrap_or("http");
        let create = || call_span!("server", method, url.scheme = scheme,);
        Self::new(context::received(headers, true, create), Side::Server)
    }

    /// Opens the span of an outgoing call to `peer`, and injects its context into the headers; returns `None` if the
    /// span is disabled.
    pub(super) fn send(peer: &str, path: &str, headers: &mut HeaderMap) -> Option<Self> {
        let method = method(path);
        let span = call_span!("client", method, peer.service = peer,);
        context::inject(&span, headers);
        Self::new(span, Side::Client)
    }

    fn new(span: Span, side: Side) -> Option<Self> {
        (!span.is_disabled()).then(|| Self {
            span,
            side,
            request: Messages::default(),
            response_bytes: 0,
            response_messages: 0,
            frames: Frames::default(),
            status: None,
            was_pending: false,
            is_polling: false,
            completion: Completion::Open,
        })
    }

    /// Returns the counter of the request's messages.
    pub(super) fn request_counter(&self) -> Messages {
        self.request.clone()
    }

    fn record_end(&self) {
        let has_panicked = self.is_polling || std::thread::panicking();
        if self.side == Side::Server
            && matches!(self.completion, Completion::Open)
            && !self.was_pending
        {
            self.span.record("rpc.method", UNKNOWN_METHOD);
        }
        let (status, error_type, outcome) = match self.completion {
            // gRPC: a stream that ends without a status has failed with `UNKNOWN`.
            Completion::Complete => (self.status.unwrap_or(RpcStatus::Unknown), None, None),
            Completion::Failed("timeout") => (
                RpcStatus::DeadlineExceeded,
                Some("timeout"),
                Some("timeout"),
            ),
            Completion::Failed(class) => {
                let status = match self.side {
                    Side::Server => RpcStatus::Unknown,
                    Side::Client => RpcStatus::Unavailable,
                };
                (
                    self.status.unwrap_or(status),
                    Some(class),
                    Some(failed_status(class)),
                )
            }
            Completion::Open if has_panicked => (RpcStatus::Unknown, None, Some("error")),
            Completion::Open => (RpcStatus::Cancelled, None, Some("cancelled")),
        };
        // For the client, a fault of the server is a failed call, as a 5xx response is.
        let is_faulty = self.side == Side::Client && status.http_status() >= 500;
        let faulty = is_faulty.then_some("error");
        let (received, sent) = match self.side {
            Side::Server => (self.request.messages(), self.response_messages),
            Side::Client => (self.response_messages, self.request.messages()),
        };
        record_all!(
            self.span,
            observatory.ended = true,
            error.r#type = error_type.or(faulty.map(|_| status.as_str())),
            rpc.response.status_code = status.as_str(),
            rpc.messages.received = received,
            rpc.messages.sent = sent,
            http.request.body.size = self.request.bytes(),
            http.response.body.size = self.response_bytes,
            status = outcome.or(faulty),
        );
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.record_end();
    }
}

impl CallObserver for Call {
    fn span(&self) -> &Span {
        &self.span
    }

    fn set_polling(&mut self, is_polling: bool) {
        self.is_polling = is_polling;
    }

    fn on_pending(&mut self) {
        self.was_pending = true;
    }

    fn on_response<B: http_body::Body>(mut self, response: &Response<B>) -> Option<Self> {
        if response.status() != StatusCode::OK {
            self.status = Some(status_from_http(response.status()));
        }
        let header_status = status_of(response.headers());
        self.status = header_status.or(self.status);
        if self.side == Side::Server && header_status == Some(RpcStatus::Unimplemented) {
            self.span.record("rpc.method", UNKNOWN_METHOD);
        }
        // A status in the headers is a trailers-only response: no body follows.
        if header_status.is_some() || response.body().is_end_stream() {
            self.completion = Completion::Complete;
            return None;
        }
        self.was_pending = true;
        Some(self)
    }

    fn completion(&mut self) -> &mut Completion {
        &mut self.completion
    }
}

impl<D: AsRef<[u8]>> BodyObserver<D> for Call {
    fn on_data(&mut self, data: &D) -> bool {
        let bytes = data.as_ref();
        self.response_bytes += bytes.len() as u64;
        self.response_messages += self.frames.count(bytes);
        false
    }

    fn on_trailers(&mut self, trailers: &HeaderMap) -> bool {
        self.status = status_of(trailers).or(self.status);
        true
    }
}

/// Returns `package.Service/Method` if the path has this form, or else `_OTHER`.
fn method(path: &str) -> &str {
    let method = path.strip_prefix('/').unwrap_or(path);
    match method.split_once('/') {
        Some((service, name)) if !service.is_empty() && !name.is_empty() && !name.contains('/') => {
            method
        }
        _ => UNKNOWN_METHOD,
    }
}

fn status_of(headers: &HeaderMap) -> Option<RpcStatus> {
    let status = headers.get("grpc-status")?.to_str().ok()?;
    Some(RpcStatus::parse(status).unwrap_or(RpcStatus::Unknown))
}

/// Maps the HTTP status of a response without a gRPC status, by gRPC's `http-grpc-status-mapping`.
const fn status_from_http(status: StatusCode) -> RpcStatus {
    match status.as_u16() {
        400 => RpcStatus::Internal,
        401 => RpcStatus::Unauthenticated,
        403 => RpcStatus::PermissionDenied,
        404 => RpcStatus::Unimplemented,
        429 | 502 | 503 | 504 => RpcStatus::Unavailable,
        _ => RpcStatus::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_service_with_its_method_is_a_method() {
        assert_eq!(
            method("/helloworld.Greeter/SayHello"),
            "helloworld.Greeter/SayHello"
        );
        for path in ["/", "", "/a", "/a/", "//b", "/a/b/c"] {
            assert_eq!(method(path), UNKNOWN_METHOD, "{path}");
        }
    }
}
