//! The uninhabited counterpart of `watch`, for builds without the feature `health`: the compiler removes its calls.

use std::convert::Infallible;

/// A record of entered spans, which no build without the feature `health` can construct.
pub(super) struct Watch(Infallible);

impl Watch {
    pub(super) fn open(&self, _: u64) {
        match self.0 {}
    }

    pub(super) fn enter(&self, _: u64) {
        match self.0 {}
    }

    pub(super) fn exit(&self, _: u64) {
        match self.0 {}
    }

    pub(super) fn close(&self, _: u64) {
        match self.0 {}
    }
}
