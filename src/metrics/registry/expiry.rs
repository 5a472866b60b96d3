//! Hides idle series from exposition until their next change.
//!
//! A hidden series keeps its value. A cached handle continues to count into the series, and the next change shows it with
//! its full value. If the registry removed the series instead, increments of cached handles would be lost. The series
//! limits bound the memory, not the expiry.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use crate::runtime::lock;

/// The identity of a series: its address, which is stable because the registry never removes a series.
pub(crate) type SeriesId = usize;

/// The last change of each series.
pub(crate) struct Expiry {
    timeout: Duration,
    changes: Mutex<HashMap<SeriesId, LastChange>>,
}

struct LastChange {
    fingerprint: u64,
    /// Monotonic time of the last observed change.
    changed: Duration,
}

impl Expiry {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            changes: Mutex::default(),
        }
    }

    /// Returns whether a series is shown at `now`. `fingerprint` changes with each change of the series.
    pub(crate) fn is_shown(&self, series: SeriesId, fingerprint: u64, now: Duration) -> bool {
        let mut changes = lock(&self.changes);
        let entry = changes.entry(series).or_insert(LastChange {
            fingerprint,
            changed: now,
        });
        if entry.fingerprint != fingerprint {
            *entry = LastChange {
                fingerprint,
                changed: now,
            };
        }
        now.saturating_sub(entry.changed) < self.timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_goes_after_its_timeout_and_comes_back_with_its_next_change() {
        let expiry = Expiry::new(Duration::from_mins(1));
        let at = Duration::from_secs;
        assert!(expiry.is_shown(1, 5, at(0)));
        assert!(expiry.is_shown(1, 5, at(59)));
        assert!(!expiry.is_shown(1, 5, at(60)));
        assert!(expiry.is_shown(1, 6, at(100)));
        assert!(!expiry.is_shown(1, 6, at(160)));
    }
}
