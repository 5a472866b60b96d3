//! Counts open connections by wrapping the make-service of a server.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_service::Service;

use crate::instrument::ConnectionGuard;

/// Counts open connections. Wraps a make-service: the service that creates a service for each connection.
///
/// ```no_run
/// use axum::{Router, ServiceExt as _, routing::get};
/// use llm_observatory::middleware::http::MonitorConnections;
///
/// # async fn serve() -> std::io::Result<()> {
/// let app: Router = Router::new().route("/", get(|| async { "hello" }));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// axum::serve(listener, MonitorConnections::new(app.into_make_service(), "http")).await
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MonitorConnections<M> {
    make: M,
    connection_type: &'static str,
}

impl<M> MonitorConnections<M> {
    /// Counts the connections that `make` creates services for, under this connection type, for example `http`.
    pub const fn new(make: M, connection_type: &'static str) -> Self {
        Self {
            make,
            connection_type,
        }
    }
}

impl<M: Service<T>, T> Service<T> for MonitorConnections<M> {
    type Response = Connected<M::Response>;
    type Error = M::Error;
    type Future = ConnectedFuture<M::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        self.make.poll_ready(context)
    }

    fn call(&mut self, target: T) -> Self::Future {
        ConnectedFuture {
            inner: self.make.call(target),
            open: Some(ConnectionGuard::open(self.connection_type)),
        }
    }
}

pin_project! {
    /// Resolves to the service of one connection.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ConnectedFuture<F> {
        #[pin]
        inner: F,
        open: Option<ConnectionGuard>,
    }
}

impl<F: Future<Output = Result<S, E>>, S, E> Future for ConnectedFuture<F> {
    type Output = Result<Connected<S>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let made = ready!(this.inner.poll(context));
        let open = this.open.take().map(Arc::new);
        Poll::Ready(made.map(|inner| Connected { inner, _open: open }))
    }
}

/// The service of one connection. The connection counts as open until the last clone of this service is dropped.
#[derive(Clone, Debug)]
pub struct Connected<S> {
    inner: S,
    _open: Option<Arc<ConnectionGuard>>,
}

impl<S: Service<R>, R> Service<R> for Connected<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.inner.call(request)
    }
}
