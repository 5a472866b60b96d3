//! Token counts of an inference, and the source of the output count.

use crate::runtime::named;

named! {
    /// The source of an inference's output token count.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
    #[non_exhaustive]
    pub enum TokenSource {
        /// The provider or the engine reported the count (`usage`).
        #[default]
        Provider = "provider",
        /// The tokens of the stream were counted.
        Counted = "counted",
        /// The count was estimated from the length of the text.
        Estimated = "estimated",
    }
}

/// The table of token counts beside input and output: calls `$define!` with a row for each count.
///
/// A row holds, in this order: the variant of [`TokenDetail`]; the field of [`Tokens`] and its setter; the span field
/// of this crate's wrappers; the attribute of the semantic conventions, as which the count is exported with traces;
/// further accepted field names. The counter that the tokens are added to stands in
/// [`token_detail`](crate::metrics::catalog).
macro_rules! numbers {
    ($define:ident) => {
        $define! {
            /// Input tokens that the provider read from its prompt cache.
            Cached: cached, with_cached, cached_tokens, "gen_ai.usage.cache_read.input_tokens",
                ["llm.token_count.prompt_details.cache_read"];
        }
    };
}
pub(crate) use numbers;

macro_rules! define_tokens {
    ($(
        $(#[$doc:meta])*
        $detail:ident: $count:ident, $with:ident, $field:ident, $attribute:literal, [$($name:literal)*];
    )*) => {
        /// The tokens of an inference. `None` means unknown, which differs from 0.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Tokens {
            /// Input tokens, cached tokens included.
            pub input: Option<u64>,
            /// Output tokens.
            pub output: Option<u64>,
            $($(#[$doc])* pub $count: Option<u64>,)*
            /// The source of `output`.
            pub source: TokenSource,
        }

        impl Tokens {
            /// Returns tokens of which every count is unknown.
            #[must_use]
            pub const fn unknown() -> Self {
                Self {
                    input: None,
                    output: None,
                    $($count: None,)*
                    source: TokenSource::Provider,
                }
            }

            $(
                $(#[$doc])*
                #[must_use]
                pub const fn $with(mut self, tokens: u64) -> Self {
                    self.$count = Some(tokens);
                    self
                }
            )*

            /// Returns the count of one detail.
            #[inline]
            pub(crate) const fn detail(&self, detail: TokenDetail) -> Option<u64> {
                match detail { $(TokenDetail::$detail => self.$count,)* }
            }

            /// Sets the count of one detail.
            #[inline]
            pub(crate) const fn set_detail(&mut self, detail: TokenDetail, tokens: Option<u64>) {
                match detail { $(TokenDetail::$detail => self.$count = tokens,)* }
            }

            /// Returns whether a count beside input and output is known.
            #[inline]
            pub(crate) const fn has_details(&self) -> bool {
                false $(|| self.$count.is_some())*
            }
        }

        /// A token count beside input and output.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum TokenDetail { $($(#[$doc])* $detail,)* }

        impl TokenDetail {
            /// Every detail; a detail's position is `detail as usize`.
            pub(crate) const ALL: [Self; [$(Self::$detail,)*].len()] = [$(Self::$detail,)*];

            /// Returns the detail that a field of this name holds.
            pub(crate) fn of_field(name: &str) -> Option<Self> {
                $(
                    if matches!(name, $attribute $(| $name)*) || name == stringify!($field) {
                        return Some(Self::$detail);
                    }
                )*
                None
            }
        }

        #[cfg(feature = "otlp")]
        impl TokenDetail {
            /// Returns the span field of this crate's wrappers.
            pub(crate) const fn field(self) -> &'static str {
                match self { $(Self::$detail => stringify!($field),)* }
            }

            /// Returns the attribute of the semantic conventions.
            pub(crate) const fn attribute(self) -> &'static str {
                match self { $(Self::$detail => $attribute,)* }
            }
        }
    };
}

numbers!(define_tokens);

impl Tokens {
    /// Returns input and output tokens as the provider reported them.
    #[must_use]
    pub const fn new(input: u64, output: u64) -> Self {
        let mut tokens = Self::unknown();
        tokens.input = Some(input);
        tokens.output = Some(output);
        tokens
    }

    /// Sets the source of the output count.
    #[must_use]
    pub const fn with_source(mut self, source: TokenSource) -> Self {
        self.source = source;
        self
    }

    /// Replaces each count that `later` knows; the source stays.
    pub(crate) fn update(&mut self, later: &Self) {
        self.input = later.input.or(self.input);
        self.output = later.output.or(self.output);
        for detail in TokenDetail::ALL {
            self.set_detail(detail, later.detail(detail).or(self.detail(detail)));
        }
    }
}
