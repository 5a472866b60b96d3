//! Measures a streamed answer: time to first token, time between chunks, token counts, outcome.
//!
//! Each poll with content emits a `token` event. The inference ends once: at the last item, at the first error, at the end
//! marker of the protocol, or as cancelled when the stream is dropped before.

#[cfg(feature = "http")]
mod body;
mod progress;

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use pin_project_lite::pin_project;

pub use self::progress::Progress;
use super::{inference::ActiveInference, monitored::Classify};

/// Counts the tokens in the chunks of a stream.
///
/// Implemented for closures that return the number of tokens in a chunk (0 for a chunk without content), and by
/// [`Sse`](super::Sse) for the bytes of providers' event streams.
pub trait ReadChunk<C: ?Sized> {
    /// Reads a chunk and updates `progress`. An implementation must not store content.
    fn read(&mut self, chunk: &C, progress: &mut Progress);

    /// Handles the end of the stream. By default, the answer is complete; a protocol with an end marker overrides this.
    fn end(&mut self, progress: &mut Progress) {
        progress.finished();
    }
}

impl<C: ?Sized, F: FnMut(&C) -> u64> ReadChunk<C> for F {
    fn read(&mut self, chunk: &C, progress: &mut Progress) {
        progress.tokens(self(chunk));
    }
}

pin_project! {
    /// The measured stream or body of an answer; created by
    /// [`ActiveInference::stream`](super::ActiveInference::stream).
    ///
    /// `TokenStream` implements [`Stream`] for a stream of results, and `http_body::Body` for a body (feature `http`).
    /// Chunks pass unchanged.
    ///
    /// The time between chunks is the time between two polls with content. It includes the time that a chunk waits for a
    /// slow reader.
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct TokenStream<S, R, C = ()> {
        // `None` once the stream ended, to release its resources, for example a slot of an engine.
        #[pin]
        inner: Option<S>,
        reader: R,
        classify: C,
        measured: MeasuredInference,
    }
}

impl<S, R> TokenStream<S, R> {
    pub(super) fn new(inference: ActiveInference, inner: S, reader: R) -> Self {
        Self {
            inner: Some(inner),
            reader,
            classify: (),
            measured: MeasuredInference {
                inference: Some(inference),
                progress: Progress::default(),
            },
        }
    }
}

impl<S, R, C> TokenStream<S, R, C> {
    /// Sets the classifier of errors: a closure that returns the class of an error, for example `rate_limited`, never
    /// a message. The class `timeout` marks a timeout. Default: `error` for every error.
    pub fn classify<N>(self, classify: N) -> TokenStream<S, R, N> {
        TokenStream {
            inner: self.inner,
            reader: self.reader,
            classify,
            measured: self.measured,
        }
    }

    /// Returns the counts so far.
    pub const fn progress(&self) -> &Progress {
        &self.measured.progress
    }
}

impl<S, R, C, T, E> Stream for TokenStream<S, R, C>
where
    S: Stream<Item = Result<T, E>>,
    R: ReadChunk<T>,
    C: Classify<E>,
{
    type Item = Result<T, E>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        let item = {
            let _entered = this.measured.enter();
            ready!(inner.poll_next(context))
        };
        match &item {
            Some(Ok(chunk)) => this.measured.read(this.reader, chunk),
            Some(Err(error)) => this.measured.fail(this.classify.class(error)),
            None => this.measured.end(this.reader),
        }
        if !matches!(item, Some(Ok(_))) {
            this.inner.set(None);
        }
        Poll::Ready(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.as_ref().map_or((0, Some(0)), Stream::size_hint)
    }
}

/// An inference with its counts so far; dropping it ends the inference.
#[derive(Debug)]
struct MeasuredInference {
    /// `None` once the inference ended.
    inference: Option<ActiveInference>,
    progress: Progress,
}

impl MeasuredInference {
    fn enter(&self) -> Option<tracing::span::Entered<'_>> {
        Some(self.inference.as_ref()?.span().enter())
    }

    fn read<C: ?Sized>(&mut self, reader: &mut impl ReadChunk<C>, chunk: &C) {
        if self.inference.is_none() {
            return;
        }
        reader.read(chunk, &mut self.progress);
        self.report();
    }

    /// Reports new tokens, and ends the inference at the end marker of the protocol.
    fn report(&mut self) {
        let fresh = self.progress.take_fresh();
        if let Some(inference) = &self.inference {
            inference.tokens(fresh);
        }
        if self.progress.is_over() {
            self.settle(Ending::Dropped);
        }
    }

    fn end<C: ?Sized>(&mut self, reader: &mut impl ReadChunk<C>) {
        if self.inference.is_none() {
            return;
        }
        reader.end(&mut self.progress);
        self.report();
        self.settle(Ending::Failed("truncated"));
    }

    fn fail(&mut self, class: Option<&'static str>) {
        self.settle(Ending::Failed(class.unwrap_or("error")));
    }

    /// Ends the inference, unless it has ended.
    fn settle(&mut self, ending: Ending) {
        let Some(inference) = self.inference.take() else {
            return;
        };
        if let Some(model) = self.progress.take_model() {
            inference.answered_by(&model);
        }
        inference.used(self.progress.usage_so_far());
        if let Some(error_type) = self.progress.failure() {
            return inference.fail(error_type);
        }
        match ending {
            // The answer was complete, even if the reader dropped the stream before its end.
            _ if self.progress.is_finished() => inference.succeed(),
            Ending::Failed(error_type) => inference.fail(error_type),
            // The reader dropped the stream: the span closes without a status and counts as cancelled.
            Ending::Dropped => {}
        }
    }
}

impl Drop for MeasuredInference {
    fn drop(&mut self) {
        self.settle(Ending::Dropped);
    }
}

/// The end of a stream.
#[derive(Clone, Copy)]
enum Ending {
    /// An error of this class, unless the answer was complete.
    Failed(&'static str),
    /// The reader dropped the stream, or the protocol marked the end.
    Dropped,
}
