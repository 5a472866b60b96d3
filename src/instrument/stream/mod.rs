//! Watches an answer as it comes: time to first token, gaps, counts, how it ended.
//!
//! Each poll that brings content is one `token` event. The stream ends exactly once: with its last item, with its
//! first error, with what its protocol says is the end, or, dropped before that, as cancelled with the tokens so far.

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
use super::{
    inference::ActiveInference,
    monitored::{Classify, Unclassified},
};

/// Tells content from framing in the chunks of a stream.
///
/// Implemented for closures that say how many tokens a chunk has, 0 for framing, and by [`Sse`](super::Sse) for the
/// bytes of providers' event streams.
pub trait ReadChunk<C: ?Sized> {
    /// A chunk came. What it holds is told to `progress`; nothing of it may be kept.
    fn read(&mut self, chunk: &C, progress: &mut Progress);

    /// The stream is at its end. Unless its protocol knows better, that is what was to come.
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
    /// A stream, or a body, of an answer that is watched as it passes; made by
    /// [`ActiveInference::stream`](super::ActiveInference::stream).
    ///
    /// It is a [`Stream`] where it was made of one whose items are results, and an `http_body::Body` where it was made
    /// of a body (feature `http`). Chunks pass unchanged.
    ///
    /// Gaps are the time between two polls that brought content, so where chunks wait for a slow reader, that is
    /// measured too, as it is what the reader sees.
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct TokenStream<S, R, C = Unclassified> {
        // Gone once it ended: what it holds, an engine's slot, say, is then free.
        #[pin]
        inner: Option<S>,
        reader: R,
        classify: C,
        watched: Watched,
    }
}

impl<S, R> TokenStream<S, R> {
    pub(super) fn new(inference: ActiveInference, inner: S, reader: R) -> Self {
        Self {
            inner: Some(inner),
            reader,
            classify: Unclassified,
            watched: Watched {
                inference: Some(inference),
                progress: Progress::default(),
            },
        }
    }
}

impl<S, R, C> TokenStream<S, R, C> {
    /// Tells classes of errors apart.
    pub fn classify<N>(self, classify: N) -> TokenStream<S, R, N> {
        TokenStream {
            inner: self.inner,
            reader: self.reader,
            classify,
            watched: self.watched,
        }
    }

    /// What came so far.
    pub const fn progress(&self) -> &Progress {
        &self.watched.progress
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
            let _entered = this.watched.enter();
            ready!(inner.poll_next(context))
        };
        match &item {
            Some(Ok(chunk)) => this.watched.read(this.reader, chunk),
            Some(Err(error)) => this.watched.fail(this.classify.class(error)),
            None => this.watched.end(this.reader),
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

/// An inference and what came of it so far; ends it when dropped.
#[derive(Debug)]
struct Watched {
    /// `None` once it ended.
    inference: Option<ActiveInference>,
    progress: Progress,
}

impl Watched {
    fn enter(&self) -> Option<tracing::span::Entered<'_>> {
        Some(self.inference.as_ref()?.span().enter())
    }

    fn read<C: ?Sized>(&mut self, reader: &mut impl ReadChunk<C>, chunk: &C) {
        if self.inference.is_none() {
            return;
        }
        reader.read(chunk, &mut self.progress);
        self.look();
    }

    /// Tells what is new.
    fn look(&mut self) {
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
        self.look();
        self.settle(Ending::Failed("truncated"));
    }

    fn fail(&mut self, class: Option<&'static str>) {
        self.settle(Ending::Failed(class.unwrap_or("error")));
    }

    /// Ends the inference, if that has not been done.
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
            // Everything had come: whether somebody listened to the very end does not matter.
            _ if self.progress.is_finished() => inference.succeed(),
            Ending::Failed(error_type) => inference.fail(error_type),
            // Nobody waited any more: it was cancelled.
            Ending::Dropped => {}
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.settle(Ending::Dropped);
    }
}

/// How a stream came to its end.
#[derive(Clone, Copy)]
enum Ending {
    /// With an error of this class, unless everything had come.
    Failed(&'static str),
    /// Nobody polled it any more, or its protocol said that it is over.
    Dropped,
}
