//! What came of an answer so far: counts, never content.

use crate::observation::{TokenSource, Tokens};

/// Bytes of text that are taken for one token, where nothing better is known: the rule of thumb of `OpenAI`'s
/// documentation, 4 characters of English.
const BYTES_PER_TOKEN: u64 = 4;
/// Longest name of a model or of an error's class that is taken from a provider.
const MOST_NAME_BYTES: usize = 96;

/// What came of an answer so far. A [`ReadChunk`](super::ReadChunk) tells it what each chunk holds.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    counted: u64,
    text_bytes: u64,
    reported: Tokens,
    /// Tokens since the last look.
    fresh: u64,
    model: Option<Box<str>>,
    failure: Option<Box<str>>,
    is_finished: bool,
    is_over: bool,
}

impl Progress {
    /// So many content tokens came.
    pub fn tokens(&mut self, count: u64) {
        self.counted = self.counted.saturating_add(count);
        self.fresh = self.fresh.saturating_add(count);
    }

    /// So many bytes of text came, and nobody knows how many tokens they are.
    pub fn text(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        self.text_bytes = self.text_bytes.saturating_add(bytes);
        self.fresh = self.fresh.saturating_add(bytes.div_ceil(BYTES_PER_TOKEN));
    }

    /// The provider said what was used, so far or altogether. What it does not say stays as it was.
    pub fn used(&mut self, tokens: Tokens) {
        let reported = &mut self.reported;
        reported.input = tokens.input.or(reported.input);
        reported.output = tokens.output.or(reported.output);
        reported.cached = tokens.cached.or(reported.cached);
    }

    /// The provider said which model answers.
    pub fn answered_by(&mut self, model: &str) {
        if self.model.is_none() && is_name(model) {
            self.model = Some(model.into());
        }
    }

    /// The answer is whole; figures may follow.
    pub fn finished(&mut self) {
        self.is_finished = true;
    }

    /// The answer is whole and nothing follows: it ended now, whether or not its connection lives on.
    pub fn over(&mut self) {
        self.is_finished = true;
        self.is_over = true;
    }

    /// The provider said that it failed. What is no class, a message, say, is a `provider_error`.
    pub fn failed(&mut self, error_type: &str) {
        let class = if is_name(error_type) {
            error_type
        } else {
            "provider_error"
        };
        self.failure.get_or_insert_with(|| class.into());
        self.is_over = true;
    }

    /// The tokens: what the provider said, else what was counted, else what is estimated from the length.
    #[must_use]
    pub fn usage_so_far(&self) -> Tokens {
        let has_content = self.counted > 0 || self.text_bytes > 0;
        // A provider that says 0 of an answer that came has not counted.
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
        let mut tokens = Tokens::unknown().with_source(source);
        tokens.input = self.reported.input;
        tokens.cached = self.reported.cached;
        tokens.output = output;
        tokens
    }

    /// Whether the whole answer has come.
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

/// Whether a text of a provider's is short and plain enough for a label.
fn is_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    !text.is_empty() && text.len() <= MOST_NAME_BYTES && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provider_is_believed_before_the_count_and_the_count_before_an_estimate() {
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
    fn what_a_provider_calls_an_error_becomes_a_label_only_if_it_is_a_name() {
        for (said, class) in [
            ("rate_limit_exceeded", "rate_limit_exceeded"),
            ("You have no quota left, sorry", "provider_error"),
            ("", "provider_error"),
        ] {
            let mut progress = Progress::default();
            progress.failed(said);
            progress.failed("another");
            assert_eq!(progress.failure(), Some(class));
        }
    }
}
