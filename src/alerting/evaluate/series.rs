//! Writes what rules give to the store, and ends the series that they no longer give.

use std::collections::{BTreeSet, HashMap};

use crate::query::Labels;
use crate::query::store::{STALE_MARKER_BITS, SeriesId, SeriesStore};

/// The series that a rule gave last.
#[derive(Debug, Default)]
pub(super) struct Written {
    ids: HashMap<Labels, SeriesId>,
}

impl Written {
    /// Writes samples at one time, and a stale marker to every series that came before and not now.
    pub(super) fn write(&mut self, store: &SeriesStore, at: i64, samples: &[(Labels, f64)]) -> u64 {
        let mut before = std::mem::take(&mut self.ids);
        self.ids.reserve(samples.len());
        let mut tick = Vec::with_capacity(samples.len());
        for (labels, value) in samples {
            let known = before.remove(labels);
            let id = known.unwrap_or_else(|| store.register(labels));
            self.ids.insert(labels.clone(), id);
            tick.push((id, *value));
        }
        let stale = f64::from_bits(STALE_MARKER_BITS);
        tick.extend(before.into_values().map(|id| (id, stale)));
        let taken = store.append_tick(at, &tick) as u64;
        if taken < tick.len() as u64 {
            // The store may have dropped a series meanwhile: look each up again next time.
            self.ids.retain(|labels, id| {
                *id = store.register(labels);
                true
            });
        }
        taken
    }

    /// The series that have to end because their rule is gone.
    pub(super) fn into_labels(self) -> impl Iterator<Item = Labels> {
        self.ids.into_keys()
    }
}

/// Ends series.
pub(super) fn end(store: &SeriesStore, series: &BTreeSet<Labels>, at: i64) -> u64 {
    let mut taken = 0;
    for labels in series {
        taken += u64::from(store.mark_stale(store.register(labels), at));
    }
    taken
}
