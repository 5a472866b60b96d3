//! The alerts that are known, merged as Alertmanager merges them.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use super::options::{Damping, DispatchOptions};
use crate::alerting::{Alert, route::to_ms};

/// The alerts by fingerprint.
#[derive(Debug)]
pub(super) struct AlertTable {
    by_fingerprint: HashMap<u64, Entry>,
    max: usize,
    damping: Option<Damping>,
    revision: u64,
    held: u64,
}

/// An alert, and how it came and went.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) alert: Arc<Alert>,
    /// Grows with every change of its state, so that a change after a flush is not taken for told.
    pub(super) revision: u64,
    /// Whether its end was told, rather than only not heard of any more.
    pub(super) is_over: bool,
    /// Until when it counts as firing although it is over.
    held_until: i64,
    transitions: VecDeque<i64>,
}

/// What became of an alert that was put in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It began, or began again.
    Begun(u64),
    /// It ended, or an alert that flaps came or went while it counts as firing.
    Changed(u64),
    /// It only holds good for longer.
    Same(u64),
    /// It is over, and nobody knew it.
    Unknown,
    /// There are too many.
    Full,
}

impl AlertTable {
    pub(super) fn new(options: &DispatchOptions) -> Self {
        Self {
            by_fingerprint: HashMap::new(),
            max: options.max_alerts,
            damping: options.damping.clone(),
            revision: 0,
            held: 0,
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

    /// Resolves that were held back since this was last asked.
    pub(super) fn take_held(&mut self) -> u64 {
        std::mem::take(&mut self.held)
    }

    pub(super) fn put(&mut self, alert: Alert, now: i64) -> Put {
        let fingerprint = alert.fingerprint();
        let Some(old) = self.by_fingerprint.get_mut(&fingerprint) else {
            if alert.is_resolved_at(now) {
                return Put::Unknown;
            }
            if self.is_full() {
                return Put::Full;
            }
            self.insert(fingerprint, alert, now);
            return Put::Begun(fingerprint);
        };
        let was_resolved = old.alert.is_resolved_at(now);
        let was_quiet = old.is_resolved_at(now);
        let merged = merge(&old.alert, alert, now);
        let is_resolved = merged.is_resolved_at(now);
        let has_new_start = merged.starts_at != old.alert.starts_at;
        old.alert = Arc::new(merged);
        old.is_over = is_resolved;
        if was_resolved == is_resolved && !has_new_start {
            return Put::Same(fingerprint);
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
            old.held_until = now.saturating_add(to_ms(damping.hold));
            self.held += 1;
        }
        // One that was held for flapping has never been over, as far as anybody was told.
        if !is_resolved && (was_quiet || !was_resolved) {
            Put::Begun(fingerprint)
        } else {
            Put::Changed(fingerprint)
        }
    }

    /// Takes an alert as it was before a restart.
    pub(super) fn restore(&mut self, alert: Alert, is_over: bool) {
        let fingerprint = alert.fingerprint();
        self.insert(fingerprint, alert, i64::MIN);
        if let Some(entry) = self.by_fingerprint.get_mut(&fingerprint) {
            entry.is_over = is_over;
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.by_fingerprint.len() >= self.max
    }

    /// How long an alert that is over is remembered, since it may flap.
    pub(super) fn window_ms(&self) -> i64 {
        self.damping
            .as_ref()
            .map_or(0, |damping| to_ms(damping.window))
    }

    /// Forgets alerts that were over before then and are in no group; returns which.
    pub(super) fn forget(&mut self, members: &HashSet<u64>, before: i64) -> Vec<u64> {
        let over = self.iter().filter(|(fingerprint, entry)| {
            entry.is_resolved_at(before) && !members.contains(fingerprint)
        });
        let over: Vec<u64> = over.map(|(fingerprint, _)| fingerprint).collect();
        for fingerprint in &over {
            self.by_fingerprint.remove(fingerprint);
        }
        over
    }

    fn insert(&mut self, fingerprint: u64, alert: Alert, now: i64) {
        self.revision += 1;
        let entry = Entry {
            alert: Arc::new(alert),
            revision: self.revision,
            is_over: false,
            held_until: i64::MIN,
            transitions: VecDeque::from([now]),
        };
        self.by_fingerprint.insert(fingerprint, entry);
    }
}

impl Entry {
    /// Whether it is over, as far as anybody should be told.
    pub(super) fn is_resolved_at(&self, now: i64) -> bool {
        self.alert.is_resolved_at(now) && self.held_until <= now
    }

    fn is_flapping(&mut self, damping: &Damping, now: i64) -> bool {
        let begin = now.saturating_sub(to_ms(damping.window));
        self.transitions.retain(|at| *at >= begin);
        while self.transitions.len() > damping.transitions {
            self.transitions.pop_front();
        }
        self.transitions.len() >= damping.transitions
    }
}

/// Alertmanager's merge: where the two overlap, the earlier start holds, and the later end, unless the new alert
/// says that it is over.
fn merge(old: &Alert, mut new: Alert, now: i64) -> Alert {
    let overlaps = (new.ends_at > old.starts_at && new.ends_at < old.ends_at)
        || (new.starts_at > old.starts_at && new.starts_at < old.ends_at);
    if !overlaps {
        return new;
    }
    new.starts_at = new.starts_at.min(old.starts_at);
    // An end of `i64::MAX` is nobody's word, as Alertmanager's own timeout is not.
    let may_rule = if new.is_resolved_at(now) {
        old.is_resolved_at(now)
    } else {
        old.ends_at != i64::MAX
    };
    if may_rule {
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
    fn alerts_that_overlap_are_one() {
        let check = |old: (i64, i64), new: (i64, i64), expected: (i64, i64)| {
            let merged = merge(&alert(old.0, old.1), alert(new.0, new.1), 100);
            assert_eq!((merged.starts_at, merged.ends_at), expected);
        };
        // Sent again, and valid for longer.
        check((10, 200), (10, 300), (10, 300));
        // A later start within the old range keeps the earlier one; the later end holds.
        check((10, 400), (50, 300), (10, 400));
        // Over: the end is explicit, so it holds.
        check((10, 400), (10, 90), (10, 90));
        // A new range that does not touch the old one.
        check((10, 50), (60, 300), (60, 300));
        // Nobody said how long the old one holds.
        check((10, i64::MAX), (50, 300), (10, 300));
    }

    #[test]
    fn a_resolve_is_held_back_once_an_alert_flaps() {
        let mut table = AlertTable::new(&DispatchOptions::default());
        let minute = 60_000;
        let at = |table: &mut AlertTable, minutes: i64, is_firing: bool| {
            let now = minutes * minute;
            let ends = if is_firing { now + 4 * minute } else { now };
            table.put(alert(now, ends), now);
            let entry = table.iter().next().unwrap().1;
            !entry.is_resolved_at(now)
        };
        assert!(at(&mut table, 0, true));
        assert!(!at(&mut table, 1, false));
        assert!(at(&mut table, 2, true));
        // The fourth change within half an hour: it counts as firing for ten more minutes.
        assert!(at(&mut table, 3, false));
        assert_eq!(table.take_held(), 1);
        let entry = table.iter().next().unwrap().1;
        assert!(!entry.is_resolved_at(13 * minute - 1));
        assert!(entry.is_resolved_at(13 * minute));
    }

    #[test]
    fn alerts_beyond_the_limit_are_refused_and_unknown_ends_ignored() {
        let mut table = AlertTable::new(&DispatchOptions::default().with_limits(0, 1));
        assert_eq!(table.put(alert(0, 10), 5), Put::Full);
        assert_eq!(table.put(alert(0, 1), 5), Put::Unknown);
    }
}
