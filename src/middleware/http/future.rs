//! The future of the response to a monitored request.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::exchange::Exchange;
use crate::middleware::{body::MonitoredBody, error_class};

pin_project! {
    /// Resolves to the response of a monitored request.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct HttpFuture<F> {
        #[pin]
        inner: F,
        // Declared after `inner`, so that it is dropped after the handler, which may still record fields of the span.
        exchange: Option<Exchange>,
    }
}

impl<F> HttpFuture<F> {
    pub(super) const fn new(inner: F, exchange: Option<Exchange>) -> Self {
        Self { inner, exchange }
    }
}

impl<F, B, E> Future for HttpFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    E: 'static,
{
    type Output = Result<Response<MonitoredBody<B, Exchange>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(exchange) = this.exchange.as_mut() else {
            return this
                .inner
                .poll(context)
                .map_ok(|response| response.map(|body| MonitoredBody::new(body, None)));
        };
        exchange.mark_polling(true);
        let polled = {
            let _entered = exchange.span().enter();
            this.inner.poll(context)
        };
        exchange.mark_polling(false);
        let answer = ready!(polled);
        let exchange = this.exchange.take();
        Poll::Ready(match answer {
            Ok(response) => {
                let exchange = exchange.and_then(|exchange| exchange.on_response(&response));
                Ok(response.map(|body| MonitoredBody::new(body, exchange)))
            }
            Err(error) => {
                if let Some(exchange) = exchange {
                    exchange.fail(error_class::classify(&error));
                }
                Err(error)
            }
        })
    }
}
