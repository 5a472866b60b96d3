//! A future that ends its span when it is ready, and says how.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tracing::{Instrument as _, Span, instrument::Instrumented};

/// Tells the class of an error, fit for a label: `rate_limited`, never a message. `timeout` is a timeout.
///
/// Implemented for closures, and by [`Unclassified`] for every error.
pub trait Classify<E: ?Sized> {
    /// The class; `None` where there is nothing to say.
    fn class(&self, error: &E) -> Option<&'static str>;
}

/// Every error is an `error`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unclassified;

impl<E: ?Sized> Classify<E> for Unclassified {
    fn class(&self, _: &E) -> Option<&'static str> {
        None
    }
}

impl<E: ?Sized, F: Fn(&E) -> &'static str> Classify<E> for F {
    fn class(&self, error: &E) -> Option<&'static str> {
        Some(self(error))
    }
}

/// Reads from an output how an operation ended, and records it. What [`Monitored`] does when it is ready.
pub trait Ends<T: ?Sized>: sealed::Sealed {
    /// It ended with this.
    fn ended(self, output: &T);
}

pub(super) mod sealed {
    pub trait Sealed {}
}

pin_project! {
    /// A future with a span around it, which closes when the future is ready or dropped.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Monitored<F, E> {
        // Gone once it is ready: the span must close then, not when somebody drops this.
        #[pin]
        future: Option<Instrumented<F>>,
        ending: Option<E>,
    }
}

impl<F, E> Monitored<F, E> {
    pub(super) fn new(future: F, span: &Span, ending: E) -> Self {
        Self {
            future: Some(future.instrument(span.clone())),
            ending: Some(ending),
        }
    }

    /// The same with another way to read its end.
    pub(super) fn map_ending<O>(self, change: impl FnOnce(E) -> O) -> Monitored<F, O> {
        Monitored {
            future: self.future,
            ending: self.ending.map(change),
        }
    }
}

impl<F, E> Future for Monitored<F, E>
where
    F: Future,
    E: Ends<F::Output>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // Polled after its end there is nothing that could wake it: it stays pending, as `Fuse` does.
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
