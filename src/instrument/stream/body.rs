//! Implements `http_body::Body` for a measured stream, frame by frame.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame, SizeHint};

use super::{ReadChunk, TokenStream};
use crate::instrument::monitored::Classify;

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
            let _entered = this.measured.enter();
            ready!(inner.as_mut().poll_frame(context))
        };
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    this.measured.read(this.reader, data);
                }
                // The sender of a body does not poll after the end of the stream.
                if inner.is_end_stream() {
                    this.measured.end(this.reader);
                }
            }
            Some(Err(error)) => this.measured.fail(this.classify.class(error)),
            None => this.measured.end(this.reader),
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
