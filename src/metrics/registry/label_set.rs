//! The labels of one series: the canonical text that identifies the series, and the label pairs themselves.
//!
//! The text is the key of the registry's tables and the form that the exposition formats write. The pairs feed the
//! readers of single labels (the series store, OTLP, JSON), so no reader parses the text.

use std::ops::Deref;

/// The canonical labels of a series that the registry keeps.
#[derive(Clone, Debug)]
pub(crate) struct LabelSet {
    /// `a="b",c="d"`: sorted by name, values escaped, as the exposition formats write them.
    text: Box<str>,
    /// All names and values, unescaped, one after the other.
    strings: Box<str>,
    /// The end of each string of `strings`: of a name, of its value, of the next name.
    ends: Box<[u32]>,
}

impl LabelSet {
    /// Builds a set from its canonical text and the pairs that the text was written from.
    pub(crate) fn new<'a>(text: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut strings = String::with_capacity(text.len());
        let mut ends = Vec::new();
        for (name, value) in pairs {
            for string in [name, value] {
                strings.push_str(string);
                ends.push(u32::try_from(strings.len()).unwrap_or(u32::MAX));
            }
        }
        Self {
            text: text.into(),
            strings: strings.into(),
            ends: ends.into(),
        }
    }

    /// Builds the set without labels.
    pub(crate) fn empty() -> Self {
        Self::new("", std::iter::empty())
    }

    /// Iterates over names and values, sorted by name.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        let mut next = move |end: u32| {
            let end = end as usize;
            let string = self.strings.get(start..end).unwrap_or_default();
            start = end;
            string
        };
        let (pairs, _) = self.ends.as_chunks::<2>();
        pairs
            .iter()
            .map(move |[name, value]| (next(*name), next(*value)))
    }

    /// Returns the value of one label.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.pairs();
        pairs.find(|(own, _)| *own == name).map(|(_, value)| value)
    }
}

/// Dereferences to the canonical text.
impl Deref for LabelSet {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_back_as_they_were_given() {
        let given = [("a", "1"), ("b", "x\"y\\z\n"), ("c", "é")];
        let set = LabelSet::new("text", given.into_iter());
        assert_eq!(set.pairs().collect::<Vec<_>>(), given);
        assert_eq!(set.get("b"), Some("x\"y\\z\n"));
        assert_eq!(set.get("d"), None);
        assert_eq!(&*set, "text");
        assert_eq!(LabelSet::empty().pairs().count(), 0);
    }
}
