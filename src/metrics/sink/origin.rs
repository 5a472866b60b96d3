//! Creates series on their first use.

use std::sync::OnceLock;

use super::{Side, backend::Backend, series::SeriesSink};
use crate::observation::Labels;

/// The sink and the label set of an inference, from which a missing series is created.
///
/// An `Origin` fits two registers, so passing it costs nothing.
pub(super) struct Origin<'s, B: Backend> {
    sink: &'s SeriesSink<B>,
    /// Number of the label set among the label sets of inferences.
    number: u32,
}

// A derive would require `B: Clone`.
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

/// Returns a series, and creates it with `find` on its first use. `find` should read all data from `origin`: the captures
/// of a closure are built even if the series exists.
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
