//! Hides series that did not change for a while from exposition, until they change again.
//!
//! A hidden series keeps its value and its place: a handle that somebody cached goes on counting into it, and
//! its next change brings it back with the value it always had. (A recorder that removes series orphans such
//! handles, and later increments vanish.) Memory is bounded by the series limits, not by this.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// A series as the sweep sees it: its address, which never changes, as it is never removed.
pub(crate) type SeriesId = usize;

/// What was seen of each series, and when it last changed.
pub(crate) struct Expiry {
    timeout: Duration,
    seen: Mutex<HashMap<SeriesId, Seen>>,
}

struct Seen {
    fingerprint: u64,
    /// Monotonic time of the last change that was noticed.
    changed: Duration,
}

impl Expiry {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            seen: Mutex::default(),
        }
    }

    /// Whether a series is to be shown at `now`, given a number that changes whenever the series does.
    pub(crate) fn is_shown(&self, series: SeriesId, fingerprint: u64, now: Duration) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = seen.entry(series).or_insert(Seen {
            fingerprint,
            changed: now,
        });
        if entry.fingerprint != fingerprint {
            *entry = Seen {
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
