//! A span whose operation ends when its owner is dropped.

use std::ops::Deref;

use tracing::Span;

/// A span whose callsite declares `observatory.ended`. Dropping `Owned` ends the operation, although the span may live
/// on in a clone or in a spawned task.
#[derive(Debug)]
pub(super) struct Owned(Span);

impl Owned {
    pub(super) const fn new(span: Span) -> Self {
        Self(span)
    }
}

impl Deref for Owned {
    type Target = Span;

    fn deref(&self) -> &Span {
        &self.0
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.record("observatory.ended", true);
    }
}
