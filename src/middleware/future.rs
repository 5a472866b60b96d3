//! The future of the response to a monitored request.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use ::http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::{body::MonitoredBody, error_class, observer::CallObserver};

pin_project! {
    /// Resolves to the response of a monitored request.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct MonitoredFuture<F, W> {
        #[pin]
        inner: F,
        // Declared after `inner`, so that it is dropped after the handler, which may still record fields of the span.
        observer: Option<W>,
    }
}

impl<F, W> MonitoredFuture<F, W> {
    /// Wraps the future of a response; without an observer the response passes through.
    pub(super) const fn new(inner: F, observer: Option<W>) -> Self {
        Self { inner, observer }
    }
}

impl<F, B, E, W> Future for MonitoredFuture<F, W>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    E: 'static,
    W: CallObserver,
{
    type Output = Result<Response<MonitoredBody<B, W>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(observer) = this.observer.as_mut() else {
            let polled = this.inner.poll(context);
            return polled.map_ok(|response| monitor_response(response, None));
        };
        observer.set_polling(true);
        let polled = {
            let _entered = observer.span().enter();
            this.inner.poll(context)
        };
        observer.set_polling(false);
        let Poll::Ready(answer) = polled else {
            observer.on_pending();
            return Poll::Pending;
        };
        let observer = this.observer.take();
        Poll::Ready(match answer {
            Ok(response) => Ok(monitor_response(response, observer)),
            Err(error) => {
                if let Some(observer) = observer {
                    observer.on_error(error_class::classify(&error));
                }
                Err(error)
            }
        })
    }
}

/// Wraps the body of a response, which its observer observes unless the call is complete with the head.
pub(super) fn monitor_response<B: Body, W: CallObserver>(
    response: Response<B>,
    observer: Option<W>,
) -> Response<MonitoredBody<B, W>> {
    let observer = observer.and_then(|observer| observer.on_response(&response));
    response.map(|body| MonitoredBody::new(body, observer))
}
