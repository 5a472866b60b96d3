//! Text that leaves in chunks, so that a large registry is never one string.

use std::ops::ControlFlow;

const CHUNK_BYTES: usize = 64 * 1024;

/// Collects text and hands it on when there is enough.
pub(crate) struct Chunks<'a> {
    buffer: String,
    take: &'a mut dyn FnMut(String) -> ControlFlow<()>,
}

impl<'a> Chunks<'a> {
    /// `take` gets each chunk, and breaks where nobody reads any more.
    pub(crate) fn new(take: &'a mut dyn FnMut(String) -> ControlFlow<()>) -> Self {
        Self {
            buffer: String::with_capacity(CHUNK_BYTES / 16),
            take,
        }
    }

    /// The text so far; write to it, then [`pass`](Chunks::pass).
    #[inline]
    pub(crate) fn text(&mut self) -> &mut String {
        &mut self.buffer
    }

    /// Hands on what there is, if it is enough.
    #[inline]
    pub(crate) fn pass(&mut self) -> ControlFlow<()> {
        if self.buffer.len() < CHUNK_BYTES {
            ControlFlow::Continue(())
        } else {
            self.finish()
        }
    }

    /// Hands on what there is.
    pub(crate) fn finish(&mut self) -> ControlFlow<()> {
        if self.buffer.is_empty() {
            return ControlFlow::Continue(());
        }
        // A little more than a chunk, so that the line that fills it does not move it.
        let next = String::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 16);
        (self.take)(std::mem::replace(&mut self.buffer, next))
    }
}
