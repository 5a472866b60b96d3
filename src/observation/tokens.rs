//! Token counts of one inference, and where they come from.

/// Where the output token count of an inference comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TokenSource {
    /// The provider or engine said so (its `usage`).
    #[default]
    Provider,
    /// Counted as the tokens passed.
    Counted,
    /// Estimated from the length of the text.
    Estimated,
}

impl TokenSource {
    /// Every source, in the order of its number.
    pub const ALL: [Self; 3] = [Self::Provider, Self::Counted, Self::Estimated];

    /// The value of the label `source`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Counted => "counted",
            Self::Estimated => "estimated",
        }
    }
}

/// Tokens of one inference. `None` means unknown, which is not the same as 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tokens {
    /// Tokens of the prompt, cached ones included.
    pub input: Option<u64>,
    /// Tokens that were generated.
    pub output: Option<u64>,
    /// Those of `input` that came from the provider's prompt cache.
    pub cached: Option<u64>,
    /// Where `output` comes from.
    pub source: TokenSource,
}

impl Tokens {
    /// Nothing is known.
    #[must_use]
    pub const fn unknown() -> Self {
        Self {
            input: None,
            output: None,
            cached: None,
            source: TokenSource::Provider,
        }
    }

    /// Input and output tokens as the provider reported them.
    #[must_use]
    pub const fn new(input: u64, output: u64) -> Self {
        Self {
            input: Some(input),
            output: Some(output),
            cached: None,
            source: TokenSource::Provider,
        }
    }

    /// Sets the tokens that came from the prompt cache.
    #[must_use]
    pub const fn with_cached(mut self, cached: u64) -> Self {
        self.cached = Some(cached);
        self
    }

    /// Sets where the output count comes from.
    #[must_use]
    pub const fn with_source(mut self, source: TokenSource) -> Self {
        self.source = source;
        self
    }
}
