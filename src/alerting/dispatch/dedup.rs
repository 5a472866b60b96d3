//! Decides whether an address must be notified of a group, from the log of its last notification: Alertmanager's rules.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{alerting::Reason, runtime::unix_ms::UnixMs};

/// The last notification of a group that an address accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogEntry {
    /// The sorted fingerprints of the firing alerts.
    pub(super) firing: Vec<u64>,
    /// The sorted fingerprints of the resolved alerts.
    pub(super) resolved: Vec<u64>,
    /// The sorted fingerprints of the firing alerts of a failed delivery that may have arrived.
    #[serde(default, rename = "maybe")]
    pub(super) maybe_firing: Vec<u64>,
    /// The time of the notification.
    pub(super) at: UnixMs,
    pub(super) expires_at: UnixMs,
}

/// The state of a group at a flush.
#[derive(Clone, Copy, Debug)]
pub(super) struct GroupState<'g> {
    pub(super) firing: &'g [u64],
    pub(super) resolved: &'g [u64],
    pub(super) repeat_interval: Duration,
    /// The time of the flush.
    pub(super) at: UnixMs,
}

impl LogEntry {
    /// Returns whether the address was notified of firing alerts, or may have been.
    pub(super) fn has_notified_firing(&self) -> bool {
        !self.firing.is_empty() || !self.maybe_firing.is_empty()
    }
}

/// Returns the reason for a notification; `None` if the address needs no notification.
pub(super) fn notification_reason(
    entry: Option<&LogEntry>,
    group: GroupState<'_>,
    send_resolved: bool,
) -> Option<Reason> {
    let Some(entry) = entry.filter(|entry| entry.expires_at > group.at) else {
        return (!group.firing.is_empty()).then_some(Reason::New);
    };
    if !is_subset(group.firing, &entry.firing) {
        let is_new = entry.firing.is_empty();
        return Some(if is_new { Reason::New } else { Reason::Changed });
    }
    // Independent of `send_resolved`: the log must record that no alert fires.
    if group.firing.is_empty() {
        return entry.has_notified_firing().then_some(Reason::AllResolved);
    }
    if send_resolved && !is_subset(group.resolved, &entry.resolved) {
        return Some(Reason::SomeResolved);
    }
    (entry.at < group.at - group.repeat_interval).then_some(Reason::Repeat)
}

/// Returns whether `large` contains every element of `small`; both are sorted.
fn is_subset(small: &[u64], large: &[u64]) -> bool {
    small.iter().all(|hash| large.binary_search(hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPEAT_INTERVAL: Duration = Duration::from_millis(50);

    fn check(entry: Option<(&[u64], &[u64])>, firing: &[u64], resolved: &[u64]) -> Option<Reason> {
        let entry = entry.map(|(firing, resolved)| LogEntry {
            firing: firing.to_vec(),
            resolved: resolved.to_vec(),
            at: UnixMs::from_i64(100),
            expires_at: UnixMs::from_i64(1_000),
            ..LogEntry::default()
        });
        let group = GroupState {
            firing,
            resolved,
            repeat_interval: REPEAT_INTERVAL,
            at: UnixMs::from_i64(120),
        };
        notification_reason(entry.as_ref(), group, true)
    }

    #[test]
    fn the_reason_follows_from_the_log_and_the_group() {
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
    fn an_unchanged_group_is_repeated_only_after_the_repeat_interval() {
        let entry = LogEntry {
            firing: vec![1],
            at: UnixMs::from_i64(100),
            expires_at: UnixMs::from_i64(1_000),
            ..LogEntry::default()
        };
        let reason_at = |now| {
            let group = GroupState {
                firing: &[1],
                resolved: &[],
                repeat_interval: REPEAT_INTERVAL,
                at: UnixMs::from_i64(now),
            };
            notification_reason(Some(&entry), group, true)
        };
        assert_eq!(reason_at(150), None);
        assert_eq!(reason_at(151), Some(Reason::Repeat));
        assert_eq!(reason_at(1_000), Some(Reason::New));
    }

    #[test]
    fn an_address_that_may_have_been_notified_gets_the_resolved_notification() {
        let entry = LogEntry {
            maybe_firing: vec![1],
            expires_at: UnixMs::from_i64(1_000),
            ..LogEntry::default()
        };
        let group = GroupState {
            firing: &[],
            resolved: &[1],
            repeat_interval: REPEAT_INTERVAL,
            at: UnixMs::from_i64(1),
        };
        let reason = notification_reason(Some(&entry), group, true);
        assert_eq!(reason, Some(Reason::AllResolved));
    }
}
