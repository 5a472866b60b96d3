//! Lets exporters of other crates encode, and keeps what they would have sent: it is our own client that sends, with
//! our deadlines, retries and TLS.

use std::{
    fmt,
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use hyper::body::Bytes;

/// What a client of [`opentelemetry_http`] returns, without the macro that writes it.
type Answering<'a, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;

/// An HTTP client that sends nothing: it keeps the body, and says that it was taken.
#[derive(Clone, Default)]
pub(super) struct Kept(Arc<Mutex<Bytes>>);

impl Kept {
    /// The body that was to be sent last, if there was one.
    pub(super) fn take(&self) -> Bytes {
        std::mem::take(&mut self.body())
    }

    fn body(&self) -> MutexGuard<'_, Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bodies hold what spans hold.
impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

#[cfg(feature = "zipkin")]
impl opentelemetry_http::HttpClient for Kept {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: opentelemetry_http::Request<Bytes>,
    ) -> Answering<'b, opentelemetry_http::Response<Bytes>, opentelemetry_http::HttpError>
    where
        'a: 'b,
        Self: 'b,
    {
        *self.body() = request.into_body();
        Box::pin(async { Ok(opentelemetry_http::Response::default()) })
    }
}

#[cfg(feature = "jaeger")]
impl opentelemetry_http_0_12::HttpClient for Kept {
    fn send<'a, 'b>(
        &'a self,
        request: opentelemetry_http_0_12::Request<Vec<u8>>,
    ) -> Answering<'b, opentelemetry_http_0_12::Response<Bytes>, opentelemetry_http_0_12::HttpError>
    where
        'a: 'b,
        Self: 'b,
    {
        *self.body() = request.into_body().into();
        Box::pin(async { Ok(opentelemetry_http_0_12::Response::default()) })
    }
}

/// Lets an exporter whose client answers at once do its work; `None` if it waits for something else.
pub(super) fn at_once<T>(work: impl Future<Output = T>) -> Option<T> {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}
