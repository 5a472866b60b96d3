//! Matches names against patterns in which `*` stands for any text.

/// A pattern in which each `*` stands for any text, including the empty text. A pattern may contain several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Glob {
    Whole(String),
    /// The text before a single `*` at the end, the most frequent form of a pattern.
    Prefix(String),
    /// The texts before the first `*`, between the `*`s, and after the last one.
    Pieces {
        first: String,
        between: Vec<String>,
        last: String,
    },
}

impl Glob {
    pub(crate) fn new(text: &str) -> Self {
        let mut pieces = text.split('*').map(str::to_owned);
        let first = pieces.next().unwrap_or_default();
        let mut between: Vec<String> = pieces.collect();
        match between.pop() {
            None => Self::Whole(first),
            Some(last) if last.is_empty() && between.is_empty() => Self::Prefix(first),
            Some(last) => Self::Pieces {
                first,
                between,
                last,
            },
        }
    }

    /// Returns `true` if a text matches. Each piece is matched at its first occurrence, so the time is linear in the
    /// text.
    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Whole(whole) => text == whole,
            Self::Prefix(beginning) => text.starts_with(beginning.as_str()),
            Self::Pieces {
                first,
                between,
                last,
            } => {
                let Some(rest) = text.strip_prefix(first.as_str()) else {
                    return false;
                };
                let Some(mut rest) = rest.strip_suffix(last.as_str()) else {
                    return false;
                };
                for piece in between {
                    match rest.split_once(piece.as_str()) {
                        Some((_, after)) => rest = after,
                        None => return false,
                    }
                }
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_at_the_end_matches_any_text() {
        assert!(Glob::new("a.b").matches("a.b") && !Glob::new("a.b").matches("a.b.c"));
        assert!(Glob::new("a.*").matches("a.b") && !Glob::new("a.*").matches("b.a."));
        assert!(Glob::new("*").matches(""));
    }

    #[test]
    fn a_star_matches_any_text_at_any_position() {
        let is = |pattern: &str, text: &str| Glob::new(pattern).matches(text);
        assert!(is("*.email", "user.email") && !is("*.email", "user.email.hash"));
        assert!(is("user.*.name", "user.home.name") && is("user.*.name", "user..name"));
        assert!(
            !is("user.*.name", "user.name"),
            "what one piece has, another has not"
        );
        assert!(is("*secret*", "my_secret_key") && is("*secret*", "secret"));
        assert!(is("a*b*c", "a1b2b3c") && !is("a*b*c", "a1c"));
        assert!(is("**", "") && is("a**", "a") && !is("a**", "b"));
        assert!(!is("aba*ba", "aba"), "the beginning is not the end, too");
    }

    proptest! {
        /// Compares with the `regex` crate.
        #[test]
        fn a_glob_matches_like_the_equivalent_regular_expression(
            pattern in "[ab*]{0,8}",
            text in "[ab]{0,12}",
        ) {
            let regex = format!("^{}$", pattern.replace('*', ".*"));
            let expected = regex::Regex::new(&regex).unwrap().is_match(&text);
            prop_assert_eq!(Glob::new(&pattern).matches(&text), expected);
        }
    }
}
