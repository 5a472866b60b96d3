//! A watched body: the same as a watched stream, frame by frame.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame, SizeHint};

use super::{ReadChunk, TokenStream};
use crate::instrument::Classify;

impl<B, R, C> Body for TokenStream<B, R, C>
where
    B: Body,
    R: ReadChunk<B::Data>,
    C: Classify<B::Error>,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some(mut inner) = this.inner.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        let frame = {
            let _entered = this.watched.enter();
            ready!(inner.as_mut().poll_frame(context))
        };
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    this.watched.read(this.reader, data);
                }
                // Whoever sends it asks no further then.
                if inner.is_end_stream() {
                    this.watched.end(this.reader);
                }
            }
            Some(Err(error)) => this.watched.fail(this.classify.class(error)),
            None => this.watched.end(this.reader),
        }
        if !matches!(frame, Some(Ok(_))) {
            this.inner.set(None);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
