//! Label sets that are cheap to share, to hash and to strip of their metric name.
//!
//! A rule over ten thousand series drops the metric name of each series and groups the series by two or three labels. A
//! set is therefore one shared allocation, sorted by name, with the hash of each pair. The hash of a set is the sum of the
//! hashes of its pairs: hiding the metric name, or hashing a subset, takes one addition or subtraction. A comparison of the
//! labels follows each match of hashes.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::FixedState;

/// The name of the label that holds the metric name.
pub(crate) const METRIC_NAME: &str = "__name__";

/// A label name and its value, with the hash of both.
#[derive(Clone, Debug)]
pub struct Label {
    name: Arc<str>,
    value: Arc<str>,
    hash: u64,
}

/// A set of labels, sorted by name. No label has an empty value.
#[derive(Clone)]
pub struct Labels {
    set: Arc<Set>,
    name_hidden: bool,
}

/// Builds a [`Labels`] label by label.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    labels: Vec<Label>,
}

#[derive(Debug)]
struct Set {
    labels: Box<[Label]>,
    hash: u64,
    /// The index of [`METRIC_NAME`] in `labels`.
    name_at: Option<usize>,
}

impl Label {
    /// Creates a label.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        let (name, value) = (name.into(), value.into());
        let mut hasher = FixedState::default().build_hasher();
        name.hash(&mut hasher);
        value.hash(&mut hasher);
        let hash = hasher.finish();
        Self { name, value, hash }
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the value.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    pub(crate) fn shared_name(&self) -> &Arc<str> {
        &self.name
    }

    /// Returns the value without copying it.
    #[must_use]
    pub fn shared_value(&self) -> &Arc<str> {
        &self.value
    }

    pub(crate) fn hash_of_pair(&self) -> u64 {
        self.hash
    }

    pub(crate) fn is_same_pair(&self, other: &Self) -> bool {
        self.hash == other.hash
            && (Arc::ptr_eq(&self.name, &other.name) || self.name == other.name)
            && (Arc::ptr_eq(&self.value, &other.value) || self.value == other.value)
    }
}

impl Labels {
    /// Returns the set without labels.
    #[must_use]
    pub fn empty() -> Self {
        Self::from_sorted(Vec::new())
    }

    /// Builds a set from names and values. Pairs with an empty value are left out; of two pairs with the same name, the later
    /// pair stays.
    pub fn from_pairs<N: Into<Arc<str>>, V: Into<Arc<str>>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let mut builder = LabelsBuilder::default();
        for (name, value) in pairs {
            builder.set(Label::new(name, value));
        }
        builder.build()
    }

    fn from_sorted(labels: Vec<Label>) -> Self {
        let hash = labels
            .iter()
            .fold(0u64, |sum, label| sum.wrapping_add(label.hash));
        let name_at = labels.iter().position(|label| &*label.name == METRIC_NAME);
        let set = Set {
            labels: labels.into_boxed_slice(),
            hash,
            name_at,
        };
        Self {
            set: Arc::new(set),
            name_hidden: false,
        }
    }

    /// Iterates over the labels in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Label> {
        let hidden = self.hidden_at();
        self.set
            .labels
            .iter()
            .enumerate()
            .filter(move |(at, _)| Some(*at) != hidden)
            .map(|(_, label)| label)
    }

    /// Returns the value of a label, or `None` if the set does not have the label.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.label(name).map(Label::value)
    }

    /// Returns the metric name, or `None` if the set has no metric name.
    #[must_use]
    pub fn metric_name(&self) -> Option<&str> {
        self.name_label().map(Label::value)
    }

    /// Returns whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.labels.len() == usize::from(self.hidden_at().is_some())
    }

    /// Returns the same set without the metric name, without copying.
    #[must_use]
    pub fn without_name(&self) -> Self {
        Self {
            set: Arc::clone(&self.set),
            name_hidden: true,
        }
    }

    pub(crate) fn hide_name(&mut self) {
        self.name_hidden = true;
    }

    /// Returns the label with this name.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&Label> {
        // Sets are small: a linear search over adjacent pairs is faster than a binary search.
        let at = self.set.labels.iter().position(|l| &*l.name == name)?;
        (Some(at) != self.hidden_at()).then(|| &self.set.labels[at])
    }

    pub(crate) fn name_label(&self) -> Option<&Label> {
        if self.name_hidden {
            return None;
        }
        self.set.name_at.map(|at| &self.set.labels[at])
    }

    /// Returns the hash of the visible labels.
    pub(crate) fn hash_of_set(&self) -> u64 {
        match self.hidden_at() {
            Some(at) => self.set.hash.wrapping_sub(self.set.labels[at].hash),
            None => self.set.hash,
        }
    }

    /// Returns the heap bytes of this set without the strings, which sets share.
    pub(crate) fn heap_bytes(&self) -> usize {
        size_of::<Set>() + 16 + self.set.labels.len() * size_of::<Label>()
    }

    fn hidden_at(&self) -> Option<usize> {
        if self.name_hidden {
            self.set.name_at
        } else {
            None
        }
    }
}

impl LabelsBuilder {
    /// Starts from the visible labels of a set.
    #[must_use]
    pub fn from_labels(labels: &Labels) -> Self {
        Self {
            labels: labels.iter().cloned().collect(),
        }
    }

    /// Adds or replaces a label; an empty value removes it.
    pub fn set(&mut self, label: Label) {
        match self.find(&label.name) {
            Ok(at) if label.value.is_empty() => {
                self.labels.remove(at);
            }
            Ok(at) => self.labels[at] = label,
            Err(_) if label.value.is_empty() => {}
            Err(at) => self.labels.insert(at, label),
        }
    }

    /// Removes a label.
    pub fn remove(&mut self, name: &str) {
        if let Ok(at) = self.find(name) {
            self.labels.remove(at);
        }
    }

    /// Keeps the labels whose names the closure accepts.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.labels.retain(|label| keep(&label.name));
    }

    /// Builds the set.
    #[must_use]
    pub fn build(self) -> Labels {
        Labels::from_sorted(self.labels)
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.labels
            .binary_search_by(|label| label.name.as_ref().cmp(name))
    }
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        if Arc::ptr_eq(&self.set, &other.set) && self.name_hidden == other.name_hidden {
            return true;
        }
        self.hash_of_set() == other.hash_of_set() && {
            let (mut left, mut right) = (self.iter(), other.iter());
            loop {
                match (left.next(), right.next()) {
                    (None, None) => return true,
                    (Some(a), Some(b)) if a.is_same_pair(b) => {}
                    _ => return false,
                }
            }
        }
    }
}

impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash_of_set());
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The order of Prometheus's results: by name, then by value; a prefix comes before a longer set.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        let pairs = |labels: &Self| -> Vec<(Arc<str>, Arc<str>)> {
            labels
                .iter()
                .map(|l| (Arc::clone(&l.name), Arc::clone(&l.value)))
                .collect()
        };
        if self.hidden_at().is_none() && other.hidden_at().is_none() {
            let left = self.set.labels.iter().map(|l| (&l.name, &l.value));
            return left.cmp(other.set.labels.iter().map(|l| (&l.name, &l.value)));
        }
        pairs(self).cmp(&pairs(other))
    }
}

/// Writes `{__name__="up", job="router"}`, the form of error messages.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (at, label) in self.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{}={:?}", label.name, &*label.value)?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hiding_the_name_gives_the_set_that_never_had_it() {
        let named = Labels::from_pairs([("job", "a"), ("__name__", "up"), ("Zone", "1")]);
        let bare = Labels::from_pairs([("Zone", "1"), ("job", "a")]);
        let hidden = named.without_name();
        assert_eq!(hidden, bare);
        assert_eq!(hidden.hash_of_set(), bare.hash_of_set());
        assert_eq!(hidden.cmp(&bare), Ordering::Equal);
        assert_eq!(hidden.get("__name__"), None);
        assert_ne!(named, bare);
        assert_eq!(named.to_string(), r#"{Zone="1", __name__="up", job="a"}"#);
    }

    #[test]
    fn an_empty_value_is_no_label() {
        let mut builder = LabelsBuilder::from_labels(&Labels::from_pairs([("a", "1"), ("b", "")]));
        builder.set(Label::new("a", ""));
        assert!(builder.build().is_empty());
    }
}
