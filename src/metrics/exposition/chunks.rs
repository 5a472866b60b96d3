//! Writes text in chunks, so that the exposition of a large registry needs little memory.

use std::ops::ControlFlow;

const CHUNK_BYTES: usize = 64 * 1024;

/// Collects text and passes it on in chunks.
pub(crate) struct Chunks<'a> {
    buffer: String,
    take: &'a mut dyn FnMut(String) -> ControlFlow<()>,
}

impl<'a> Chunks<'a> {
    /// Returns an empty buffer. `take` receives each chunk and returns `Break` if the reader is gone.
    pub(crate) fn new(take: &'a mut dyn FnMut(String) -> ControlFlow<()>) -> Self {
        Self {
            buffer: String::with_capacity(CHUNK_BYTES / 16),
            take,
        }
    }

    /// Returns the buffer; the caller appends text and calls [`pass`](Chunks::pass).
    #[inline]
    pub(crate) fn text(&mut self) -> &mut String {
        &mut self.buffer
    }

    /// Passes the buffer on if it holds a chunk.
    #[inline]
    pub(crate) fn pass(&mut self) -> ControlFlow<()> {
        if self.buffer.len() < CHUNK_BYTES {
            ControlFlow::Continue(())
        } else {
            self.finish()
        }
    }

    /// Passes the rest of the buffer on.
    pub(crate) fn finish(&mut self) -> ControlFlow<()> {
        if self.buffer.is_empty() {
            return ControlFlow::Continue(());
        }
        // Slightly larger than a chunk, so that the last line does not reallocate the buffer.
        let next = String::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 16);
        (self.take)(std::mem::replace(&mut self.buffer, next))
    }
}
