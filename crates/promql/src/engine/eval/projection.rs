//! Groups label sets by the labels that `by`, `without`, `on` and `ignoring` select.
//!
//! The hash of the selected labels is a sum or difference of hashes that the sets carry, so grouping reads no strings. A
//! comparison with the first member of the group follows each match of hashes.

use std::collections::HashMap;

use crate::labels::{Label, Labels, LabelsBuilder, METRIC_NAME};

/// The labels that define a group.
#[derive(Clone, Copy, Debug)]
pub(super) enum Projection<'a> {
    /// Only the listed labels.
    Only(&'a [String]),
    /// All labels except the listed labels and the metric name.
    Without(&'a [String]),
    /// All labels except one, the metric name included.
    WithoutLabel(&'a str),
}

impl Projection<'_> {
    pub(super) fn hash(self, labels: &Labels) -> u64 {
        let hash = |label: Option<&Label>| label.map_or(0, Label::hash_of_pair);
        match self {
            Self::Only(names) => names.iter().enumerate().fold(0u64, |sum, (at, name)| {
                // A label that is listed twice counts once.
                let is_new = !names[..at].contains(name);
                let label = if is_new { labels.label(name) } else { None };
                sum.wrapping_add(hash(label))
            }),
            Self::Without(names) => {
                let start = labels.hash_of_set().wrapping_sub(hash(labels.name_label()));
                names.iter().enumerate().fold(start, |rest, (at, name)| {
                    let is_new = name != METRIC_NAME && !names[..at].contains(name);
                    let label = if is_new { labels.label(name) } else { None };
                    rest.wrapping_sub(hash(label))
                })
            }
            Self::WithoutLabel(name) => labels.hash_of_set().wrapping_sub(hash(labels.label(name))),
        }
    }

    fn shows(self, name: &str) -> bool {
        match self {
            Self::Only(names) => names.iter().any(|n| n == name),
            Self::Without(names) => name != METRIC_NAME && !names.iter().any(|n| n == name),
            Self::WithoutLabel(hidden) => name != hidden,
        }
    }

    pub(super) fn is_same(self, left: &Labels, right: &Labels) -> bool {
        if let Self::Only(names) = self {
            return names.iter().all(|name| left.get(name) == right.get(name));
        }
        let mut left = left.iter().filter(|label| self.shows(label.name()));
        let mut right = right.iter().filter(|label| self.shows(label.name()));
        loop {
            match (left.next(), right.next()) {
                (None, None) => return true,
                (Some(a), Some(b)) if a.is_same_pair(b) => {}
                _ => return false,
            }
        }
    }

    pub(super) fn apply(self, labels: &Labels) -> Labels {
        let mut builder = LabelsBuilder::from_labels(labels);
        builder.retain(|name| self.shows(name));
        builder.build()
    }
}

/// Assigns numbers to the groups of label sets.
#[derive(Debug)]
pub(super) struct Groups<'a> {
    projection: Projection<'a>,
    by_hash: HashMap<u64, usize, foldhash::fast::FixedState>,
    /// The first member of each group.
    pub(super) first: Vec<Labels>,
}

impl<'a> Groups<'a> {
    pub(super) fn new(projection: Projection<'a>) -> Self {
        Self {
            projection,
            by_hash: HashMap::default(),
            first: Vec::new(),
        }
    }

    pub(super) fn find(&self, labels: &Labels) -> Option<usize> {
        self.locate(labels).ok()
    }

    /// Returns the group of a label set, and adds a new group for the first set.
    pub(super) fn find_or_insert(&mut self, labels: &Labels) -> usize {
        match self.locate(labels) {
            Ok(at) => at,
            Err(free) => {
                self.by_hash.insert(free, self.first.len());
                self.first.push(labels.clone());
                self.first.len() - 1
            }
        }
    }

    /// Returns the group of a label set, or its free hash. Groups with equal hashes take successive hashes.
    fn locate(&self, labels: &Labels) -> Result<usize, u64> {
        let mut hash = self.projection.hash(labels);
        while let Some(&at) = self.by_hash.get(&hash) {
            if self.projection.is_same(&self.first[at], labels) {
                return Ok(at);
            }
            hash = hash.wrapping_add(1);
        }
        Err(hash)
    }
}
