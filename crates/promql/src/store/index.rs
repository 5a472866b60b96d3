//! An inverted index from labels to series.
//!
//! The index lists the series of each label value. The matcher with the fewest candidates selects the series, and the other
//! matchers check the labels of the candidates: for short lists, this check is faster than an intersection.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::labels::{Label, Labels};
use crate::matcher::{MatchOp, Matcher};

/// Label name → label value → slots of the series, ascending.
#[derive(Debug, Default)]
pub(super) struct Index {
    labels: HashMap<Arc<str>, HashMap<Arc<str>, Vec<u32>>>,
    /// The heap bytes of the inner maps, of the lists and of the strings.
    inner_bytes: usize,
}

/// Returns the heap bytes of a hash map, without the heap bytes of its entries: a slot and a control byte per bucket, with
/// seven of eight buckets usable.
pub(super) fn table_bytes<K, V>(map: &HashMap<K, V>) -> usize {
    map.capacity() * 8 / 7 * (size_of::<(K, V)>() + 1)
}

/// Returns the heap bytes of a shared string: two reference counts and the text, in words.
fn string_bytes(text: &str) -> usize {
    (2 * size_of::<usize>() + text.len()).next_multiple_of(size_of::<usize>())
}

fn list_bytes(list: &Vec<u32>) -> usize {
    list.capacity() * size_of::<u32>()
}

impl Index {
    /// Returns the heap bytes of the index, with the strings of all labels.
    pub(super) fn heap_bytes(&self) -> usize {
        table_bytes(&self.labels) + self.inner_bytes
    }

    pub(super) fn insert(&mut self, labels: &Labels, place: u32) {
        for label in labels.iter() {
            let (mut before, mut after) = (0, 0);
            let name = Arc::clone(label.shared_name());
            let values = match self.labels.entry(name) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    after += string_bytes(label.name());
                    entry.insert(HashMap::new())
                }
            };
            before += table_bytes(values);
            let places = match values.entry(Arc::clone(label.shared_value())) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    after += string_bytes(label.value());
                    entry.insert(Vec::new())
                }
            };
            before += list_bytes(places);
            if let Err(at) = places.binary_search(&place) {
                places.insert(at, place);
            }
            after += list_bytes(places);
            after += table_bytes(values);
            self.inner_bytes = (self.inner_bytes + after).saturating_sub(before);
        }
    }

    /// Removes series. Each list is filtered once for all of them, because the list of a frequent value is long.
    pub(super) fn remove(&mut self, removed: &[(u32, Labels)]) {
        let last = removed.iter().map(|(place, _)| *place).max().unwrap_or(0);
        let mut is_removed = vec![false; last as usize + 1];
        for (place, _) in removed {
            is_removed[*place as usize] = true;
        }
        let is_kept = |place: &u32| !is_removed.get(*place as usize).copied().unwrap_or(false);
        let mut filtered = HashSet::new();
        for label in removed.iter().flat_map(|(_, labels)| labels.iter()) {
            if filtered.insert((label.name(), label.value())) {
                self.filter_list(label, is_kept);
            }
        }
    }

    fn filter_list(&mut self, label: &Label, is_kept: impl Fn(&u32) -> bool) {
        let Some(values) = self.labels.get_mut(label.name()) else {
            return;
        };
        let mut freed = table_bytes(values);
        if let Some(places) = values.get_mut(label.value()) {
            freed += list_bytes(places);
            places.retain(is_kept);
            if places.len() < places.capacity() / 2 {
                places.shrink_to_fit();
            }
            freed = freed.saturating_sub(list_bytes(places));
            if places.is_empty() {
                values.remove(label.value());
                freed += string_bytes(label.value());
            }
        }
        if values.is_empty() {
            self.labels.remove(label.name());
            freed += string_bytes(label.name());
        } else {
            freed = freed.saturating_sub(table_bytes(values));
        }
        self.inner_bytes = self.inner_bytes.saturating_sub(freed);
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
