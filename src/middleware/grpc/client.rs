//! The tower layer that monitors the calls of a tonic client.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tonic::body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::call::Call;
use crate::middleware::{
    body::{CountedBody, MonitoredBody},
    future::MonitoredFuture,
    observer::CallObserver as _,
};

/// Monitors the gRPC calls to one server. Apply this layer to the channel of a tonic client.
#[derive(Clone, Debug)]
#[must_use = "put it on a channel"]
pub struct GrpcClientLayer {
    peer: Arc<str>,
}

impl GrpcClientLayer {
    /// Monitors calls to `peer`: a name that you choose from a small fixed set, since it becomes a label.
    pub fn new(peer: impl Into<Arc<str>>) -> Self {
        Self { peer: peer.into() }
    }
}

impl<S> Layer<S> for GrpcClientLayer {
    type Service = GrpcClient<S>;

    fn layer(&self, inner: S) -> GrpcClient<S> {
        GrpcClient {
            inner,
            peer: Arc::clone(&self.peer),
        }
    }
}

/// A channel whose calls are monitored; created by [`GrpcClientLayer`].
#[derive(Clone, Debug)]
pub struct GrpcClient<S> {
    inner: S,
    peer: Arc<str>,
}

impl<S, R> Service<Request<Body>> for GrpcClient<S>
where
    S: Service<Request<Body>, Response = Response<R>>,
    S::Error: 'static,
    R: http_body::Body,
{
    type Response = Response<MonitoredBody<R, Call>>;
    type Error = S::Error;
    type Future = MonitoredFuture<S::Future, Call>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let path = request.uri().path().to_owned();
        let Some(call) = Call::send(&self.peer, &path, request.headers_mut()) else {
            return MonitoredFuture::new(self.inner.call(request), None);
        };
        let counter = Some(call.request_counter());
        let request = request.map(|body| Body::new(CountedBody::new(body, counter)));
        let inner = call.span().in_scope(|| self.inner.call(request));
        MonitoredFuture::new(inner, Some(call))
    }
}
