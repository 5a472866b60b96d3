//! Stores the known alerts and merges updates into them, as Alertmanager does.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::options::{Damping, DispatchOptions};
use crate::{alerting::Alert, runtime::unix_ms::UnixMs};

/// The known alerts by fingerprint.
#[derive(Debug)]
pub(super) struct AlertTable {
    by_fingerprint: HashMap<u64, Entry>,
    max_alerts: usize,
    damping: Option<Damping>,
    revision: u64,
    held_count: u64,
}

/// A known alert with its state changes.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) alert: Arc<Alert>,
    /// The revision of the table at the last state change: distinguishes changes after a flush from changes before.
    pub(super) revision: u64,
    /// True if an update reported the end of the alert. An alert also resolves when its validity ends without an
    /// update.
    pub(super) is_reported_resolved: bool,
    /// The time until which a resolved alert still counts as firing.
    held_until: UnixMs,
    /// The times of the last state changes.
    transitions: VecDeque<UnixMs>,
}

/// The effect of an update on the table.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PutOutcome {
    /// The alert started to fire, or started again.
    Started(u64),
    /// The alert resolved, or a flapping alert changed its state while it counts as firing.
    Changed(u64),
    /// The update only extended the validity of the alert.
    Unchanged(u64),
    /// The update reported the end of an unknown alert.
    UnknownResolved,
    /// The table holds the maximum number of alerts.
    LimitReached,
}

impl AlertTable {
    pub(super) fn new(options: &DispatchOptions) -> Self {
        Self {
            by_fingerprint: HashMap::new(),
            max_alerts: options.max_alerts,
            damping: options.damping.clone(),
            revision: 0,
            held_count: 0,
        }
    }

    pub(super) fn get(&self, fingerprint: u64) -> Option<&Entry> {
        self.by_fingerprint.get(&fingerprint)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Entry)> {
        self.by_fingerprint
            .iter()
            .map(|(fingerprint, entry)| (*fingerprint, entry))
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// Returns the number of resolved alerts that were held as firing since the last call.
    pub(super) fn take_held_count(&mut self) -> u64 {
        std::mem::take(&mut self.held_count)
    }

    /// Merges an update into the table.
    pub(super) fn put(&mut self, alert: Alert, now: UnixMs) -> PutOutcome {
        let fingerprint = alert.fingerprint();
        let Some(old) = self.by_fingerprint.get_mut(&fingerprint) else {
            if alert.is_resolved_at(now.as_i64()) {
                return PutOutcome::UnknownResolved;
            }
            if self.is_full() {
                return PutOutcome::LimitReached;
            }
            self.insert(fingerprint, alert, now);
            return PutOutcome::Started(fingerprint);
        };
        let was_resolved = old.alert.is_resolved_at(now.as_i64());
        let counted_as_resolved = old.is_resolved_at(now);
        let merged = merge(&old.alert, alert, now);
        let is_resolved = merged.is_resolved_at(now.as_i64());
        let has_new_start = merged.starts_at != old.alert.starts_at;
        old.alert = Arc::new(merged);
        old.is_reported_resolved = is_resolved;
        if was_resolved == is_resolved && !has_new_start {
            return PutOutcome::Unchanged(fingerprint);
        }
        self.revision += 1;
        old.revision = self.revision;
        if was_resolved != is_resolved {
            old.transitions.push_back(now);
        }
        if let Some(damping) = &self.damping
            && old.is_flapping(damping, now)
            && is_resolved
        {
            old.held_until = now + damping.hold;
            self.held_count += 1;
        }
        // The receivers of a held alert were never notified of its end, so the alert does not start again.
        if !is_resolved && (counted_as_resolved || !was_resolved) {
            PutOutcome::Started(fingerprint)
        } else {
            PutOutcome::Changed(fingerprint)
        }
    }

    /// Inserts an alert in its state before a restart.
    pub(super) fn restore(&mut self, alert: Alert, is_reported_resolved: bool) {
        let fingerprint = alert.fingerprint();
        self.insert(fingerprint, alert, UnixMs::MIN);
        if let Some(entry) = self.by_fingerprint.get_mut(&fingerprint) {
            entry.is_reported_resolved = is_reported_resolved;
        }
    }

    /// Moves all alerts by a step of the wall clock.
    pub(super) fn shift(&mut self, by_ms: i64) {
        for entry in self.by_fingerprint.values_mut() {
            Arc::make_mut(&mut entry.alert).shift(by_ms);
            entry.held_until.shift(by_ms);
            entry.transitions.iter_mut().for_each(|at| at.shift(by_ms));
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.by_fingerprint.len() >= self.max_alerts
    }

    /// Returns the time for which resolved alerts stay in the table, so that flapping is detected.
    pub(super) fn flapping_window(&self) -> Duration {
        self.damping
            .as_ref()
            .map_or(Duration::ZERO, |damping| damping.window)
    }

    /// Removes alerts that were resolved before `before` and are not in `members`; returns their fingerprints.
    pub(super) fn remove_resolved(&mut self, members: &HashSet<u64>, before: UnixMs) -> Vec<u64> {
        let resolved = self.iter().filter(|(fingerprint, entry)| {
            entry.is_resolved_at(before) && !members.contains(fingerprint)
        });
        let resolved: Vec<u64> = resolved.map(|(fingerprint, _)| fingerprint).collect();
        for fingerprint in &resolved {
            self.by_fingerprint.remove(fingerprint);
        }
        resolved
    }

    fn insert(&mut self, fingerprint: u64, alert: Alert, now: UnixMs) {
        self.revision += 1;
        let entry = Entry {
            alert: Arc::new(alert),
            revision: self.revision,
            is_reported_resolved: false,
            held_until: UnixMs::MIN,
            transitions: VecDeque::from([now]),
        };
        self.by_fingerprint.insert(fingerprint, entry);
    }
}

impl Entry {
    /// Returns whether the alert counts as resolved: it is resolved, and damping does not hold it.
    pub(super) fn is_resolved_at(&self, now: UnixMs) -> bool {
        self.alert.is_resolved_at(now.as_i64()) && self.held_until <= now
    }

    fn is_flapping(&mut self, damping: &Damping, now: UnixMs) -> bool {
        let window_start = now - damping.window;
        self.transitions.retain(|at| *at >= window_start);
        while self.transitions.len() > damping.transitions {
            self.transitions.pop_front();
        }
        self.transitions.len() >= damping.transitions
    }
}

/// Merges two versions of an alert as Alertmanager does: if their time ranges overlap, the result has the earlier
/// start and the later end, unless the new version is resolved.
fn merge(old: &Alert, mut new: Alert, now: UnixMs) -> Alert {
    let overlaps = (new.ends_at > old.starts_at && new.ends_at < old.ends_at)
        || (new.starts_at > old.starts_at && new.starts_at < old.ends_at);
    if !overlaps {
        return new;
    }
    new.starts_at = new.starts_at.min(old.starts_at);
    // An end of `i64::MAX` is a default, like the timeout that Alertmanager sets itself: a reported end replaces it.
    let keeps_old_end = if new.is_resolved_at(now.as_i64()) {
        old.is_resolved_at(now.as_i64())
    } else {
        old.ends_at != i64::MAX
    };
    if keeps_old_end {
        new.ends_at = new.ends_at.max(old.ends_at);
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Labels;

    fn alert(starts_at: i64, ends_at: i64) -> Alert {
        let mut alert = Alert::new(Labels::from_pairs([("alertname", "a")]), starts_at);
        alert.ends_at = ends_at;
        alert
    }

    #[test]
    fn overlapping_alerts_are_merged() {
        let check = |old: (i64, i64), new: (i64, i64), expected: (i64, i64)| {
            let now = UnixMs::from_i64(100);
            let merged = merge(&alert(old.0, old.1), alert(new.0, new.1), now);
            assert_eq!((merged.starts_at, merged.ends_at), expected);
        };
        // An update with a longer validity.
        check((10, 200), (10, 300), (10, 300));
        // A later start within the old range: the result has the earlier start and the later end.
        check((10, 400), (50, 300), (10, 400));
        // A resolved update: its end is explicit.
        check((10, 400), (10, 90), (10, 90));
        // A new range that does not overlap the old range.
        check((10, 50), (60, 300), (60, 300));
        // The old version has no explicit end.
        check((10, i64::MAX), (50, 300), (10, 300));
    }

    #[test]
    fn a_flapping_alert_counts_as_firing_after_it_resolves() {
        let mut table = AlertTable::new(&DispatchOptions::default());
        let minute = 60_000;
        let is_firing_after = |table: &mut AlertTable, minutes: i64, is_firing: bool| {
            let now = minutes * minute;
            let ends = if is_firing { now + 4 * minute } else { now };
            table.put(alert(now, ends), UnixMs::from_i64(now));
            let entry = table.iter().next().unwrap().1;
            !entry.is_resolved_at(UnixMs::from_i64(now))
        };
        assert!(is_firing_after(&mut table, 0, true));
        assert!(!is_firing_after(&mut table, 1, false));
        assert!(is_firing_after(&mut table, 2, true));
        // The fourth change within half an hour: the alert counts as firing for ten more minutes.
        assert!(is_firing_after(&mut table, 3, false));
        assert_eq!(table.take_held_count(), 1);
        let entry = table.iter().next().unwrap().1;
        assert!(!entry.is_resolved_at(UnixMs::from_i64(13 * minute - 1)));
        assert!(entry.is_resolved_at(UnixMs::from_i64(13 * minute)));
    }

    #[test]
    fn alerts_above_the_limit_are_dropped_and_unknown_resolved_alerts_are_ignored() {
        let mut table = AlertTable::new(&DispatchOptions::default().with_limits(0, 1));
        let now = UnixMs::from_i64(5);
        assert_eq!(table.put(alert(0, 10), now), PutOutcome::LimitReached);
        assert_eq!(table.put(alert(0, 1), now), PutOutcome::UnknownResolved);
    }
}
