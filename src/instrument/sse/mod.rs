//! Reads providers' event streams: token counts, end markers and errors, never content.

mod anthropic;
mod json;
mod openai;
mod parser;

use std::fmt;

use self::parser::Parser;
pub use self::{anthropic::Anthropic, openai::OpenAi};
use super::stream::{Progress, ReadChunk};

/// The protocol of a provider's event stream.
pub trait Protocol {
    /// Reads an event. `data` is the text after `data:`, which may be invalid JSON.
    fn event(&mut self, data: &[u8], progress: &mut Progress);
}

/// Reads server-sent events from chunks of bytes with arbitrary boundaries.
///
/// `Sse` buffers an incomplete event up to 4 MiB; a larger event passes uncounted. A stream that ends before the end marker
/// of its protocol counts as an error of class `truncated`.
pub struct Sse<P> {
    parser: Parser,
    protocol: P,
}

impl Sse<OpenAi> {
    /// Returns a reader for `OpenAI`'s API and compatible APIs: chat completions, completions, responses.
    #[must_use]
    pub fn openai() -> Self {
        Self::new(OpenAi)
    }
}

impl Sse<Anthropic> {
    /// Returns a reader for Anthropic's messages API.
    #[must_use]
    pub fn anthropic() -> Self {
        Self::new(Anthropic)
    }
}

impl<P: Protocol> Sse<P> {
    /// Returns a reader for another protocol.
    #[must_use]
    pub fn new(protocol: P) -> Self {
        Self {
            parser: Parser::default(),
            protocol,
        }
    }
}

impl<P: Protocol, C: AsRef<[u8]> + ?Sized> ReadChunk<C> for Sse<P> {
    fn read(&mut self, chunk: &C, progress: &mut Progress) {
        let Self { parser, protocol } = self;
        parser.push(chunk.as_ref(), |data| protocol.event(data, progress));
    }

    /// Reads the last event; the protocol decides whether the answer is complete.
    fn end(&mut self, progress: &mut Progress) {
        let Self { parser, protocol } = self;
        parser.finish(|data| protocol.event(data, progress));
    }
}

impl<P> fmt::Debug for Sse<P> {
    /// Omits the buffer, which holds content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sse").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
