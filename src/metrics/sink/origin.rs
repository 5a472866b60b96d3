//! Series that exist from their first use on, and what it takes to make one.

use std::sync::OnceLock;

use super::{Side, backend::Backend, series::SeriesSink};
use crate::observation::Labels;

/// Whose series they are and where others come from: what it takes to make one that is not there yet.
///
/// It fits two registers, so handing it on costs nothing.
pub(super) struct Origin<'s, B: Backend> {
    sink: &'s SeriesSink<B>,
    /// Of the label set, among those of inferences.
    number: u32,
}

// Derived, they would ask the same of the backend.
impl<B: Backend> Clone for Origin<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: Backend> Copy for Origin<'_, B> {}

impl<'s, B: Backend> Origin<'s, B> {
    #[inline]
    pub(super) const fn new(sink: &'s SeriesSink<B>, number: u32) -> Self {
        Self { sink, number }
    }

    pub(super) fn labels(self) -> Labels {
        self.sink.inferences.labels(self.number)
    }

    pub(super) const fn backend(self) -> &'s B {
        self.sink.backend()
    }

    #[inline]
    pub(super) const fn side(self) -> Option<Side> {
        self.sink.side
    }
}

/// A series that exists from its first use on. `find` takes what it needs from `origin`, and should hold no more
/// than a number: what a closure holds is gathered before it is known whether it is needed.
#[inline]
pub(super) fn made<'p, 's, T, B: Backend>(
    place: &'p OnceLock<T>,
    origin: Origin<'s, B>,
    find: impl FnOnce(Origin<'s, B>) -> T,
) -> &'p T {
    match place.get() {
        Some(series) => series,
        None => make(place, origin, find),
    }
}

#[cold]
#[inline(never)]
fn make<'p, 's, T, B: Backend>(
    place: &'p OnceLock<T>,
    origin: Origin<'s, B>,
    find: impl FnOnce(Origin<'s, B>) -> T,
) -> &'p T {
    place.get_or_init(|| find(origin))
}
