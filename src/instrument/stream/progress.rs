//! Counts the tokens of a streamed answer. It stores counts, never content.

use crate::observation::{TokenSource, Tokens};

/// Bytes of text per estimated token: `OpenAI`'s documentation says 4 characters of English.
const BYTES_PER_TOKEN: u64 = 4;
/// Max bytes of a provider's model name or error class.
const MAX_NAME_BYTES: usize = 96;

/// The counts of a streamed answer so far, which a [`ReadChunk`](super::ReadChunk) updates with each chunk.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    counted: u64,
    text_bytes: u64,
    reported: Tokens,
    /// Tokens since the last call of `take_fresh`.
    fresh: u64,
    model: Option<Box<str>>,
    failure: Option<Box<str>>,
    is_finished: bool,
    is_over: bool,
}

impl Progress {
    /// Adds `count` content tokens.
    pub fn tokens(&mut self, count: u64) {
        self.counted = self.counted.saturating_add(count);
        self.fresh = self.fresh.saturating_add(count);
    }

    /// Adds `bytes` of text with an unknown number of tokens; the count is estimated.
    pub fn text(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        self.text_bytes = self.text_bytes.saturating_add(bytes);
        self.fresh = self.fresh.saturating_add(bytes.div_ceil(BYTES_PER_TOKEN));
    }

    /// Records the provider's token counts. Counts that are unknown in `tokens` keep their values.
    pub fn used(&mut self, tokens: Tokens) {
        self.reported.update(&tokens);
    }

    /// Records the model of the provider's answer.
    pub fn answered_by(&mut self, model: &str) {
        if self.model.is_none() && is_name(model) {
            self.model = Some(model.into());
        }
    }

    /// Marks the answer as complete; token counts may follow.
    pub fn finished(&mut self) {
        self.is_finished = true;
    }

    /// Marks the answer as complete and the stream as ended, even if the connection stays open.
    pub fn over(&mut self) {
        self.is_finished = true;
        self.is_over = true;
    }

    /// Marks the answer as failed. A text that is no class, for example a message, becomes `provider_error`.
    pub fn failed(&mut self, error_type: &str) {
        let class = if is_name(error_type) {
            error_type
        } else {
            "provider_error"
        };
        self.failure.get_or_insert_with(|| class.into());
        self.is_over = true;
    }

    /// Returns the tokens: the provider's counts, else the counted tokens, else an estimate from the length.
    #[must_use]
    pub fn usage_so_far(&self) -> Tokens {
        let has_content = self.counted > 0 || self.text_bytes > 0;
        // A count of 0 for an answer with content means that the provider did not count.
        let reported = self
            .reported
            .output
            .filter(|tokens| *tokens > 0 || !has_content);
        let estimated = self
            .counted
            .saturating_add(self.text_bytes.div_ceil(BYTES_PER_TOKEN));
        let (output, source) = match reported {
            Some(tokens) => (Some(tokens), TokenSource::Provider),
            None if self.text_bytes > 0 => (Some(estimated), TokenSource::Estimated),
            None if has_content || self.is_finished => (Some(self.counted), TokenSource::Counted),
            None => (None, TokenSource::Counted),
        };
        Tokens {
            output,
            source,
            ..self.reported
        }
    }

    /// Returns whether the answer is complete.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.is_finished
    }

    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    pub(super) fn take_model(&mut self) -> Option<Box<str>> {
        self.model.take()
    }

    pub(super) fn take_fresh(&mut self) -> u64 {
        std::mem::take(&mut self.fresh)
    }
}

/// Returns whether a provider's text is short and plain enough for a label.
fn is_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    !text.is_empty() && text.len() <= MAX_NAME_BYTES && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provider_takes_precedence_over_the_count_and_the_count_over_an_estimate() {
        let mut progress = Progress::default();
        assert_eq!(progress.usage_so_far().output, None);
        progress.text(9);
        let tokens = progress.usage_so_far();
        assert_eq!(
            (tokens.output, tokens.source),
            (Some(3), TokenSource::Estimated)
        );

        let mut progress = Progress::default();
        progress.tokens(7);
        let tokens = progress.usage_so_far();
        assert_eq!(
            (tokens.output, tokens.source),
            (Some(7), TokenSource::Counted)
        );
        progress.used(Tokens::new(100, 0));
        assert_eq!(progress.usage_so_far().output, Some(7), "0 is not believed");
        progress.used(Tokens::new(100, 8).with_cached(64));
        let tokens = progress.usage_so_far();
        assert_eq!(tokens, Tokens::new(100, 8).with_cached(64));
    }

    #[test]
    fn a_providers_error_becomes_a_label_only_if_it_is_a_name() {
        for (text, class) in [
            ("rate_limit_exceeded", "rate_limit_exceeded"),
            ("You have no quota left, sorry", "provider_error"),
            ("", "provider_error"),
        ] {
            let mut progress = Progress::default();
            progress.failed(text);
            progress.failed("another");
            assert_eq!(progress.failure(), Some(class));
        }
    }
}
