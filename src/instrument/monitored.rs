//! A future that records its outcome and ends its span when it is ready.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tracing::{Instrument as _, Span, instrument::Instrumented};

/// Returns the class of an error for a label: `rate_limited`, never a message. The class `timeout` marks a timeout.
///
/// Implemented for closures, and by `()`, which classifies every error as `error`.
pub trait Classify<E: ?Sized> {
    /// Returns the class; `None` for an error without a class.
    fn class(&self, error: &E) -> Option<&'static str>;
}

impl<E: ?Sized> Classify<E> for () {
    fn class(&self, _: &E) -> Option<&'static str> {
        None
    }
}

impl<E: ?Sized, F: Fn(&E) -> &'static str> Classify<E> for F {
    fn class(&self, error: &E) -> Option<&'static str> {
        Some(self(error))
    }
}

/// Records the end of an operation from the output of its future. [`InSpan`] calls it when the future is ready.
pub(super) trait Ends<T: ?Sized> {
    /// Records the end with this output.
    fn ended(self, output: &T);
}

pin_project! {
    /// A future in a span; the span closes when the future is ready or dropped.
    #[derive(Debug)]
    pub(super) struct InSpan<F, E> {
        // `None` once the future is ready, because the span must close then, not when `InSpan` is dropped.
        #[pin]
        future: Option<Instrumented<F>>,
        ending: Option<E>,
    }
}

impl<F, E> InSpan<F, E> {
    pub(super) fn new(future: F, span: &Span, ending: E) -> Self {
        Self {
            future: Some(future.instrument(span.clone())),
            ending: Some(ending),
        }
    }

    /// Replaces the ending.
    pub(super) fn map_ending<O>(self, change: impl FnOnce(E) -> O) -> InSpan<F, O> {
        InSpan {
            future: self.future,
            ending: self.ending.map(change),
        }
    }
}

impl<F, E> Future for InSpan<F, E>
where
    F: Future,
    E: Ends<F::Output>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // A future that is polled after its end stays pending, like `Fuse`.
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        let output = ready!(future.poll(context));
        if let Some(ending) = this.ending.take() {
            ending.ended(&output);
        }
        this.future.set(None);
        Poll::Ready(output)
    }
}
