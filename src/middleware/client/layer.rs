//! The tower layer that monitors HTTP clients that are tower services, for example hyper-util's client.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, Uri};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::call::{ClientCall, Outgoing};
use crate::middleware::{
    body::MonitoredBody, future::MonitoredFuture, observer::CallObserver as _,
};

/// Monitors the HTTP requests that a client sends to one server.
#[derive(Clone, Debug)]
#[must_use = "put it on a client"]
pub struct HttpClientLayer {
    peer: Arc<str>,
}

impl HttpClientLayer {
    /// Monitors requests to `peer`: a name that you choose, such as `openai`, from a small fixed set, since it becomes
    /// a label.
    pub fn new(peer: impl Into<Arc<str>>) -> Self {
        Self { peer: peer.into() }
    }
}

impl<S> Layer<S> for HttpClientLayer {
    type Service = HttpClient<S>;

    fn layer(&self, inner: S) -> HttpClient<S> {
        HttpClient {
            inner,
            peer: Arc::clone(&self.peer),
        }
    }
}

/// A client whose requests are monitored; created by [`HttpClientLayer`].
#[derive(Clone, Debug)]
pub struct HttpClient<S> {
    inner: S,
    peer: Arc<str>,
}

impl<S, B, R> Service<Request<B>> for HttpClient<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: 'static,
    B: Body,
    R: Body,
{
    type Response = Response<MonitoredBody<R, ClientCall>>;
    type Error = S::Error;
    type Future = MonitoredFuture<S::Future, ClientCall>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // Counting the bytes in transit would change the type of the body, and clients accept a single type.
        let size = request.body().size_hint().exact();
        let method = request.method().clone();
        let uri = request.uri().clone();
        let outgoing = Outgoing {
            peer: &self.peer,
            method: method.as_str(),
            url: &SanitizedUrl(&uri),
            bytes: size,
        };
        let call = ClientCall::begin(&outgoing, request.headers_mut());
        let inner = match &call {
            Some(call) => call.span().in_scope(|| self.inner.call(request)),
            None => self.inner.call(request),
        };
        MonitoredFuture::new(inner, call)
    }
}

/// Displays the address of a request without credentials and query, which may hold secrets.
struct SanitizedUrl<'a>(&'a Uri);

impl fmt::Display for SanitizedUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(uri) = self;
        if let Some(host) = uri.host() {
            write!(f, "{}://{host}", uri.scheme_str().unwrap_or("http"))?;
            if let Some(port) = uri.port() {
                write!(f, ":{port}")?;
            }
        }
        f.write_str(uri.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_displayed_url_contains_no_secret() {
        let uri: Uri = "https://ann:s3cret@[::1]:8443/v1/chat?key=s3cret"
            .parse()
            .unwrap();
        assert_eq!(SanitizedUrl(&uri).to_string(), "https://[::1]:8443/v1/chat");
        assert_eq!(
            SanitizedUrl(&Uri::from_static("/v1?key=a")).to_string(),
            "/v1"
        );
    }
}
