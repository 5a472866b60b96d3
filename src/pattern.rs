//! A whole text, or the beginning of one.

/// A whole text, or the beginning of one where it is written with `*` at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    Whole(String),
    Beginning(String),
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(beginning) => Self::Beginning(beginning.to_owned()),
            None => Self::Whole(text.to_owned()),
        }
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Whole(whole) => text == whole,
            Self::Beginning(beginning) => text.starts_with(beginning.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_at_the_end_stands_for_anything() {
        assert!(Pattern::new("a.b").matches("a.b") && !Pattern::new("a.b").matches("a.b.c"));
        assert!(Pattern::new("a.*").matches("a.b") && !Pattern::new("a.*").matches("b.a."));
        assert!(Pattern::new("*").matches(""));
    }
}
