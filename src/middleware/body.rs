//! Bodies that are watched as they pass, and end what watches them exactly once.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tracing::Span;

use super::class;

/// What watches a body. Dropped before it was told the end, the body was given up.
pub trait Watch<D>: Sized {
    /// The span that the body's work belongs to.
    fn span(&self) -> &Span;

    /// Whether the body is being polled: dropped then, it panicked.
    fn set_polling(&mut self, is_polling: bool);

    /// Data came. Whether that was all.
    fn data(&mut self, data: &D) -> bool;

    /// Trailers came. Whether that was all.
    fn trailers(&mut self, trailers: &HeaderMap) -> bool;

    /// All of it came.
    fn whole(self);

    /// It failed with an error of this class.
    fn failed(self, class: &'static str);
}

pin_project! {
    /// A response's body that carries its request's span to the last byte.
    #[derive(Debug)]
    pub struct MonitoredBody<B, W> {
        #[pin]
        body: B,
        // `None` once it ended, and where nothing is watched.
        watch: Option<W>,
    }
}

impl<B, W> MonitoredBody<B, W> {
    /// A body that is watched, or is not.
    pub(super) const fn new(body: B, watch: Option<W>) -> Self {
        Self { body, watch }
    }
}

impl<B, W> Body for MonitoredBody<B, W>
where
    B: Body<Error: 'static>,
    W: Watch<B::Data>,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some(watch) = this.watch else {
            return this.body.poll_frame(context);
        };
        watch.set_polling(true);
        let polled = {
            let _entered = watch.span().enter();
            this.body.as_mut().poll_frame(context)
        };
        watch.set_polling(false);
        let frame = ready!(polled);
        let is_whole = match &frame {
            Some(Ok(frame)) => {
                let is_last = match (frame.data_ref(), frame.trailers_ref()) {
                    (Some(data), _) => watch.data(data),
                    (None, Some(trailers)) => watch.trailers(trailers),
                    (None, None) => false,
                };
                // Whoever sends it asks no further then.
                is_last || this.body.is_end_stream()
            }
            Some(Err(error)) => {
                if let Some(watch) = this.watch.take() {
                    watch.failed(class::of(error));
                }
                false
            }
            None => true,
        };
        if is_whole && let Some(watch) = this.watch.take() {
            watch.whole();
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

/// What a request's body counts, while its span is elsewhere.
pub trait Count<D> {
    /// Data came.
    fn data(&mut self, data: &D);
}

pin_project! {
    /// A request's body that is counted as the service reads it.
    #[derive(Debug)]
    pub struct CountedBody<B, C> {
        #[pin]
        body: B,
        // `None` where nothing is counted.
        counter: Option<C>,
    }
}

impl<B, C> CountedBody<B, C> {
    pub(super) const fn new(body: B, counter: Option<C>) -> Self {
        Self { body, counter }
    }
}

impl<B: Body, C: Count<B::Data>> Body for CountedBody<B, C> {
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
            counter.data(data);
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
