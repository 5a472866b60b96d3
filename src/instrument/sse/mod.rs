//! Providers' event streams, read as they pass: counts, usage, ends and errors, never content.

mod anthropic;
mod json;
mod openai;
mod parser;

use std::fmt;

use self::parser::Parser;
pub use self::{anthropic::Anthropic, openai::OpenAi};
use super::stream::{Progress, ReadChunk};

/// What the events of a provider's stream mean.
pub trait Protocol {
    /// An event came; `data` is what stood behind `data:`, valid JSON or not.
    fn event(&mut self, data: &[u8], progress: &mut Progress);
}

/// Reads server-sent events from chunks of bytes, which may be cut anywhere.
///
/// An event is held until it is whole, and at most 4 MiB of it; a larger one passes uncounted. A stream that ends
/// before its protocol says so was `truncated`, which is an error.
pub struct Sse<P> {
    parser: Parser,
    protocol: P,
}

impl Sse<OpenAi> {
    /// The streams of `OpenAI`'s API and of everything compatible: chat completions, completions, responses.
    #[must_use]
    pub fn openai() -> Self {
        Self::new(OpenAi)
    }
}

impl Sse<Anthropic> {
    /// The streams of Anthropic's messages API.
    #[must_use]
    pub fn anthropic() -> Self {
        Self::new(Anthropic)
    }
}

impl<P: Protocol> Sse<P> {
    /// Streams with a protocol of your own.
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

    /// Only the protocol knows whether that was all.
    fn end(&mut self, progress: &mut Progress) {
        let Self { parser, protocol } = self;
        parser.finish(|data| protocol.event(data, progress));
    }
}

impl<P> fmt::Debug for Sse<P> {
    /// Without what is buffered: that is content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sse").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
