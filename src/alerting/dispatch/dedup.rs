//! Whether an address must be told of a group, given what it was told last: Alertmanager's table.

use serde::{Deserialize, Serialize};

use crate::alerting::Reason;

/// What an address was told last about a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogEntry {
    /// Fingerprints, sorted.
    pub(super) firing: Vec<u64>,
    /// Fingerprints, sorted.
    pub(super) resolved: Vec<u64>,
    /// What it may have been told: a delivery failed after it had been sent.
    #[serde(default)]
    pub(super) maybe: Vec<u64>,
    pub(super) at: i64,
    pub(super) expires_at: i64,
}

/// The group as it is, and how its route and channel want it told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now<'g> {
    pub(super) firing: &'g [u64],
    pub(super) resolved: &'g [u64],
    pub(super) repeat_ms: i64,
    pub(super) at: i64,
}

impl LogEntry {
    /// Whether it was told, or may have been, of alerts that fire.
    pub(super) fn is_told(&self) -> bool {
        !self.firing.is_empty() || !self.maybe.is_empty()
    }
}

/// Why the address must be told now, if it must.
pub(super) fn reason(
    entry: Option<&LogEntry>,
    group: Now<'_>,
    is_resolve_wanted: bool,
) -> Option<Reason> {
    let Some(entry) = entry.filter(|entry| entry.expires_at > group.at) else {
        return (!group.firing.is_empty()).then_some(Reason::New);
    };
    if !is_subset(group.firing, &entry.firing) {
        let is_new = entry.firing.is_empty();
        return Some(if is_new { Reason::New } else { Reason::Changed });
    }
    // Whether or not the channel wants resolves: the log must hear that nothing fires.
    if group.firing.is_empty() {
        return entry.is_told().then_some(Reason::AllResolved);
    }
    if is_resolve_wanted && !is_subset(group.resolved, &entry.resolved) {
        return Some(Reason::SomeResolved);
    }
    (entry.at < group.at.saturating_sub(group.repeat_ms)).then_some(Reason::Repeat)
}

/// Of two sorted lists.
fn is_subset(small: &[u64], large: &[u64]) -> bool {
    small.iter().all(|hash| large.binary_search(hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(entry: Option<(&[u64], &[u64])>, firing: &[u64], resolved: &[u64]) -> Option<Reason> {
        let entry = entry.map(|(firing, resolved)| LogEntry {
            firing: firing.to_vec(),
            resolved: resolved.to_vec(),
            at: 100,
            expires_at: 1_000,
            ..LogEntry::default()
        });
        let group = Now {
            firing,
            resolved,
            repeat_ms: 50,
            at: 120,
        };
        reason(entry.as_ref(), group, true)
    }

    #[test]
    fn an_address_is_told_when_the_table_says_so() {
        assert_eq!(check(None, &[1], &[]), Some(Reason::New));
        assert_eq!(check(None, &[], &[1]), None);
        assert_eq!(check(Some((&[1], &[])), &[1], &[]), None);
        assert_eq!(
            check(Some((&[1], &[])), &[1, 2], &[]),
            Some(Reason::Changed)
        );
        assert_eq!(
            check(Some((&[1, 2], &[])), &[1], &[2]),
            Some(Reason::SomeResolved)
        );
        assert_eq!(check(Some((&[1, 2], &[2])), &[1], &[2]), None);
        assert_eq!(
            check(Some((&[1], &[])), &[], &[1]),
            Some(Reason::AllResolved)
        );
        assert_eq!(check(Some((&[], &[1])), &[], &[1]), None);
        assert_eq!(check(Some((&[], &[1])), &[1], &[]), Some(Reason::New));
    }

    #[test]
    fn an_unchanged_group_is_told_again_only_after_the_repeat_interval() {
        let entry = LogEntry {
            firing: vec![1],
            at: 100,
            expires_at: 1_000,
            ..LogEntry::default()
        };
        let at = |now| Now {
            firing: &[1],
            resolved: &[],
            repeat_ms: 50,
            at: now,
        };
        assert_eq!(reason(Some(&entry), at(150), true), None);
        assert_eq!(reason(Some(&entry), at(151), true), Some(Reason::Repeat));
        assert_eq!(reason(Some(&entry), at(1_000), true), Some(Reason::New));
    }

    #[test]
    fn whoever_may_have_been_told_hears_that_it_is_over() {
        let entry = LogEntry {
            maybe: vec![1],
            expires_at: 1_000,
            ..LogEntry::default()
        };
        let group = Now {
            firing: &[],
            resolved: &[1],
            repeat_ms: 50,
            at: 1,
        };
        assert_eq!(reason(Some(&entry), group, true), Some(Reason::AllResolved));
    }
}
