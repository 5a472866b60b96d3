//! The future of the response to a monitored call.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::call::Call;
use crate::middleware::{body::MonitoredBody, error_class};

pin_project! {
    /// Resolves to the response of a monitored call.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct GrpcFuture<F> {
        #[pin]
        inner: F,
        call: Option<Call>,
    }
}

impl<F> GrpcFuture<F> {
    pub(super) const fn new(inner: F, call: Option<Call>) -> Self {
        Self { inner, call }
    }
}

impl<F, B, E> Future for GrpcFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    E: 'static,
{
    type Output = Result<Response<MonitoredBody<B, Call>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(call) = this.call.as_mut() else {
            return this
                .inner
                .poll(context)
                .map_ok(|response| response.map(|body| MonitoredBody::new(body, None)));
        };
        call.mark_polling(true);
        let polled = {
            let _entered = call.span().enter();
            this.inner.poll(context)
        };
        call.mark_polling(false);
        let Poll::Ready(answer) = polled else {
            call.mark_pending();
            return Poll::Pending;
        };
        let call = this.call.take();
        Poll::Ready(match answer {
            Ok(response) => {
                let call = call.and_then(|call| call.on_response(&response));
                Ok(response.map(|body| MonitoredBody::new(body, call)))
            }
            Err(error) => {
                if let Some(call) = call {
                    call.fail(error_class::classify(&error));
                }
                Err(error)
            }
        })
    }
}
