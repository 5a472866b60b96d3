//! An inverted index from labels to series.
//!
//! The index lists the series of each label value. The matcher with the fewest candidates selects the series, and the other
//! matchers check the labels of the candidates: for short lists, this check is faster than an intersection.

use std::collections::HashMap;
use std::sync::Arc;

use crate::labels::Labels;
use crate::matcher::{MatchOp, Matcher};

/// Label name → label value → slots of the series, ascending.
#[derive(Debug, Default)]
pub(super) struct Index {
    labels: HashMap<Arc<str>, HashMap<Arc<str>, Vec<u32>>>,
}

impl Index {
    pub(super) fn insert(&mut self, labels: &Labels, place: u32) {
        for label in labels.iter() {
            let values = self
                .labels
                .entry(Arc::clone(label.shared_name()))
                .or_default();
            let places = values.entry(Arc::clone(label.shared_value())).or_default();
            if let Err(at) = places.binary_search(&place) {
                places.insert(at, place);
            }
        }
    }

    pub(super) fn remove(&mut self, labels: &Labels, place: u32) {
        for label in labels.iter() {
            let Some(values) = self.labels.get_mut(label.name()) else {
                continue;
            };
            if let Some(places) = values.get_mut(label.value()) {
                places.retain(|p| *p != place);
                if places.is_empty() {
                    values.remove(label.value());
                }
            }
            if values.is_empty() {
                self.labels.remove(label.name());
            }
        }
    }

    /// Returns the stored copies of a name and a value, so that series share their memory.
    pub(super) fn intern(&self, name: &str, value: &str) -> Option<(Arc<str>, Option<Arc<str>>)> {
        let (name, values) = self.labels.get_key_value(name)?;
        let value = values
            .get_key_value(value)
            .map(|(value, _)| Arc::clone(value));
        Some((Arc::clone(name), value))
    }

    /// Returns a superset of the series that satisfy the matchers. `None` stands for all series.
    pub(super) fn candidates(&self, matchers: &[Matcher]) -> Option<Vec<u32>> {
        matchers
            .iter()
            .filter_map(|matcher| self.places(matcher))
            .min_by_key(Vec::len)
    }

    /// Returns the candidates of a matcher. `None` if an absent label satisfies the matcher, because the index lists only
    /// labels that exist.
    fn places(&self, matcher: &Matcher) -> Option<Vec<u32>> {
        if matcher.is_match("") {
            return None;
        }
        let Some(values) = self.labels.get(matcher.name()) else {
            return Some(Vec::new());
        };
        if matcher.op() == MatchOp::Equal {
            return Some(values.get(matcher.value()).cloned().unwrap_or_default());
        }
        let mut places = Vec::new();
        if let (MatchOp::Regex, Some(literals)) = (matcher.op(), matcher.literals()) {
            let found = literals.iter().filter_map(|l| values.get(l.as_str()));
            found.for_each(|found| places.extend_from_slice(found));
        } else {
            let found = values.iter().filter(|(value, _)| matcher.is_match(value));
            found.for_each(|(_, found)| places.extend_from_slice(found));
        }
        Some(places)
    }

    pub(super) fn label_names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.labels.keys().map(ToString::to_string).collect();
        names.sort_unstable();
        names
    }

    pub(super) fn label_values(&self, name: &str) -> Vec<String> {
        let values = self.labels.get(name).into_iter().flatten();
        let mut values: Vec<_> = values.map(|(value, _)| value.to_string()).collect();
        values.sort_unstable();
        values
    }
}
