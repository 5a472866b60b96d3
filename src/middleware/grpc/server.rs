//! The tower layer that monitors the calls to a tonic server.

use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::{Messages, call::Call};
use crate::middleware::{
    body::{CountedBody, MonitoredBody},
    future::MonitoredFuture,
    observer::CallObserver as _,
};

/// Monitors the gRPC calls that a server handles, for `tonic::transport::Server::layer`.
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "put it on a server"]
pub struct GrpcMonitorLayer {
    _private: (),
}

impl GrpcMonitorLayer {
    /// Monitors every call.
    pub const fn new() -> Self {
        Self { _private: () }
    }
}

impl<S> Layer<S> for GrpcMonitorLayer {
    type Service = GrpcMonitor<S>;

    fn layer(&self, inner: S) -> GrpcMonitor<S> {
        GrpcMonitor { inner }
    }
}

/// A service whose calls are monitored; created by [`GrpcMonitorLayer`].
#[derive(Clone, Debug)]
pub struct GrpcMonitor<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for GrpcMonitor<S>
where
    S: Service<Request<CountedBody<B, Messages>>, Response = Response<R>>,
    S::Error: 'static,
    B: Body<Data: AsRef<[u8]>>,
    R: Body,
{
    type Response = Response<MonitoredBody<R, Call>>;
    type Error = S::Error;
    type Future = MonitoredFuture<S::Future, Call>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let uri = request.uri();
        let call = Call::serve(uri.path(), uri.scheme_str(), request.headers());
        let counter = call.as_ref().map(Call::request_counter);
        let request = request.map(|body| CountedBody::new(body, counter));
        let inner = match &call {
            Some(call) => call.span().in_scope(|| self.inner.call(request)),
            None => self.inner.call(request),
        };
        MonitoredFuture::new(inner, call)
    }
}
