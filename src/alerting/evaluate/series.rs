//! Writes the series of a rule to the store, and marks vanished series as stale.

use std::collections::{BTreeSet, HashMap};

use crate::query::Labels;
use crate::query::store::{STALE_MARKER_BITS, SeriesId, SeriesStore};

/// The series that a rule wrote at its last evaluation.
#[derive(Debug, Default)]
pub(super) struct WrittenSeries {
    ids: HashMap<Labels, SeriesId>,
}

impl WrittenSeries {
    /// Writes samples for a timestamp, and a stale marker for every series of the last evaluation without a new sample.
    pub(super) fn write(&mut self, store: &SeriesStore, at: i64, samples: &[(Labels, f64)]) -> u64 {
        let mut before = std::mem::take(&mut self.ids);
        self.ids.reserve(samples.len());
        let mut tick = Vec::with_capacity(samples.len());
        for (labels, value) in samples {
            let id = before.remove(labels);
            let id = id.unwrap_or_else(|| store.register(labels));
            self.ids.insert(labels.clone(), id);
            tick.push((id, *value));
        }
        let stale = f64::from_bits(STALE_MARKER_BITS);
        tick.extend(before.into_values().map(|id| (id, stale)));
        let accepted = store.append_tick(at, &tick) as u64;
        if accepted < tick.len() as u64 {
            // The store may have dropped a series in the meantime; register all of them again.
            self.ids.retain(|labels, id| {
                *id = store.register(labels);
                true
            });
        }
        accepted
    }

    /// Returns the series that must be marked as stale because their rule was removed.
    pub(super) fn into_labels(self) -> impl Iterator<Item = Labels> {
        self.ids.into_keys()
    }
}

/// Writes a stale marker for each series; returns the number of samples that the store accepted.
pub(super) fn mark_stale(store: &SeriesStore, series: &BTreeSet<Labels>, at: i64) -> u64 {
    let mut accepted = 0;
    for labels in series {
        accepted += u64::from(store.mark_stale(store.register(labels), at));
    }
    accepted
}
