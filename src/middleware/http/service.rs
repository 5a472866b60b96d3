//! The tower service that opens a span for each request.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{Bytes, exchange::Exchange, layer::Shared};
use crate::middleware::{
    body::{CountedBody, MonitoredBody},
    future::MonitoredFuture,
    observer::CallObserver as _,
};

/// A service whose requests are monitored; created by [`HttpMonitorLayer`](super::HttpMonitorLayer).
#[derive(Clone, Debug)]
pub struct HttpMonitor<S> {
    pub(super) inner: S,
    pub(super) shared: Arc<Shared>,
}

impl<S, B, R> Service<Request<B>> for HttpMonitor<S>
where
    S: Service<Request<CountedBody<B, Bytes>>, Response = Response<R>>,
    S::Error: 'static,
    B: Body,
    R: Body,
{
    type Response = Response<MonitoredBody<R, Exchange>>;
    type Error = S::Error;
    type Future = MonitoredFuture<S::Future, Exchange>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let exchange = if self.shared.options.excludes(parts.uri.path()) {
            None
        } else {
            Exchange::begin(&parts, body.is_end_stream(), &self.shared)
        };
        let counter = exchange.as_ref().and_then(Exchange::request_counter);
        let body = CountedBody::new(body, counter);
        let request = Request::from_parts(parts, body);
        // The span also covers the work that the service does in `call`, before its future is polled.
        let future = match &exchange {
            Some(exchange) => exchange.span().in_scope(|| self.inner.call(request)),
            None => self.inner.call(request),
        };
        MonitoredFuture::new(future, exchange)
    }
}
