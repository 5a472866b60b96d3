//! Bodies that report their data, trailers and end to an observer. The end is reported exactly once.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{error_class, observer::BodyObserver};

pin_project! {
    /// A response body that keeps the span of its request open until the last byte.
    #[derive(Debug)]
    pub struct MonitoredBody<B, W> {
        #[pin]
        body: B,
        // `None` after the end, and for a request that is not observed.
        observer: Option<W>,
    }
}

impl<B, W> MonitoredBody<B, W> {
    /// Wraps a body; without an observer the body passes through.
    pub(super) const fn new(body: B, observer: Option<W>) -> Self {
        Self { body, observer }
    }
}

impl<B, W> Body for MonitoredBody<B, W>
where
    B: Body<Error: 'static>,
    W: BodyObserver<B::Data>,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some(observer) = this.observer else {
            return this.body.poll_frame(context);
        };
        observer.set_polling(true);
        let polled = {
            let _entered = observer.span().enter();
            this.body.as_mut().poll_frame(context)
        };
        observer.set_polling(false);
        let frame = ready!(polled);
        let is_whole = match &frame {
            Some(Ok(frame)) => {
                let is_last = match (frame.data_ref(), frame.trailers_ref()) {
                    (Some(data), _) => observer.on_data(data),
                    (None, Some(trailers)) => observer.on_trailers(trailers),
                    (None, None) => false,
                };
                // A server that knows the length does not poll again after the last byte.
                is_last || this.body.is_end_stream()
            }
            Some(Err(error)) => {
                if let Some(observer) = this.observer.take() {
                    observer.on_error(error_class::classify(error));
                }
                false
            }
            None => true,
        };
        if is_whole && let Some(observer) = this.observer.take() {
            observer.on_end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Counts the data of a request body. The request's span belongs to the response's observer.
pub trait BodyCounter<D> {
    /// Handles a data frame.
    fn on_data(&mut self, data: &D);
}

pin_project! {
    /// A request body that is counted as the service reads it.
    #[derive(Debug)]
    pub struct CountedBody<B, C> {
        #[pin]
        body: B,
        // `None` for a body that is not counted.
        counter: Option<C>,
    }
}

impl<B, C> CountedBody<B, C> {
    pub(super) const fn new(body: B, counter: Option<C>) -> Self {
        Self { body, counter }
    }
}

impl<B: Body, C: BodyCounter<B::Data>> Body for CountedBody<B, C> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(context));
        if let (Some(counter), Some(Ok(frame))) = (this.counter, &frame)
            && let Some(data) = frame.data_ref()
        {
            counter.on_data(data);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
