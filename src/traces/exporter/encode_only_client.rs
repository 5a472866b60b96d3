//! Captures the request bodies of exporters from other crates.
//!
//! Such an exporter encodes only. The crate's own client sends the body, with its deadlines, retries and TLS.

use std::{
    fmt,
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use hyper::body::Bytes;

use crate::runtime::lock;

/// The future of [`opentelemetry_http`]'s client trait, as `async_trait` writes it.
type Responding<'a, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;

/// An HTTP client that keeps the body of a request instead of sending it, and responds with success.
#[derive(Clone, Default)]
pub(super) struct EncodeOnlyClient(Arc<Mutex<Bytes>>);

impl EncodeOnlyClient {
    /// Takes the body of the last request; empty without one.
    pub(super) fn take(&self) -> Bytes {
        std::mem::take(&mut self.body())
    }

    fn body(&self) -> MutexGuard<'_, Bytes> {
        lock(&self.0)
    }
}

/// The body is not printed, since spans may hold secrets.
impl fmt::Debug for EncodeOnlyClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncodeOnlyClient")
    }
}

#[cfg(feature = "zipkin")]
impl opentelemetry_http::HttpClient for EncodeOnlyClient {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: opentelemetry_http::Request<Bytes>,
    ) -> Responding<'b, opentelemetry_http::Response<Bytes>, opentelemetry_http::HttpError>
    where
        'a: 'b,
        Self: 'b,
    {
        *self.body() = request.into_body();
        Box::pin(async { Ok(opentelemetry_http::Response::default()) })
    }
}

#[cfg(feature = "jaeger")]
impl opentelemetry_http_0_12::HttpClient for EncodeOnlyClient {
    fn send<'a, 'b>(
        &'a self,
        request: opentelemetry_http_0_12::Request<Vec<u8>>,
    ) -> Responding<'b, opentelemetry_http_0_12::Response<Bytes>, opentelemetry_http_0_12::HttpError>
    where
        'a: 'b,
        Self: 'b,
    {
        *self.body() = request.into_body().into();
        Box::pin(async { Ok(opentelemetry_http_0_12::Response::default()) })
    }
}

/// Runs the future of an exporter whose client responds at once; `None` if the future waits for anything else.
pub(super) fn poll_once<T>(work: impl Future<Output = T>) -> Option<T> {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}
