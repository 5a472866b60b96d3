//! Escalates unacknowledged groups: notifies the receivers of the next step and raises the severity.

use super::{Dispatcher, flush::Snapshot, group::Group};
use crate::{
    alerting::{Reason, route::InhibitSources},
    runtime::unix_ms::UnixMs,
};

impl Dispatcher {
    /// Executes the escalation step that is due at `now`, if any.
    ///
    /// If a silence, an inhibition or a mute interval suppresses every firing alert at that time, the step is not
    /// executed, and its delay starts again.
    pub(super) fn escalate(&mut self, group: &mut Group, sources: &InhibitSources, now: UnixMs) {
        self.send_deferred(group, sources, now);
        if group
            .escalation
            .as_ref()
            .is_none_or(|state| state.next_at > now)
        {
            return;
        }
        let Some(receiver) = self.router.receiver(&group.receiver) else {
            group.escalation = None;
            return;
        };
        let (steps, repeat) = (receiver.steps.clone(), receiver.repeat);
        let snapshot = self.snapshot(group, sources, now);
        let is_acknowledged = group.is_acknowledged(&snapshot.firing);
        let is_resolved = !self.has_firing_members(group, now);
        let Some(state) = group.escalation.as_mut() else {
            return;
        };
        if is_resolved || steps.is_empty() {
            // The next flush sends the resolved notification.
            state.next_at = UnixMs::MAX;
            return;
        }
        if is_acknowledged {
            self.counts.acknowledged += 1;
            (state.next_at, state.is_paused) = (UnixMs::MAX, true);
            return;
        }
        let step = &steps[state.steps_executed % steps.len()];
        if snapshot.firing.is_empty() {
            state.next_at = now + step.delay;
            return;
        }
        state.steps_executed += 1;
        state.steps_notified = state
            .steps_notified
            .max(state.steps_executed.min(steps.len()));
        let has_next = repeat || state.steps_executed < steps.len();
        state.next_at = if has_next {
            now + steps[state.steps_executed % steps.len()].delay
        } else {
            UnixMs::MAX
        };
        for destination in &step.destinations {
            if !group.in_flight.contains_key(destination) {
                self.enqueue(group, destination, &snapshot, Reason::Escalation, now);
            } else if let Some(state) = group.escalation.as_mut() {
                state.deferred.insert(destination.clone());
            }
        }
        group.last_notified = now;
    }

    /// Notifies the addresses that had a notification in flight when their step was executed, unless the group is
    /// resolved, suppressed or acknowledged in the meantime.
    fn send_deferred(&mut self, group: &mut Group, sources: &InhibitSources, now: UnixMs) {
        let Some(state) = &group.escalation else {
            return;
        };
        let ready: Vec<_> = group.ready_deferred(state).cloned().collect();
        if ready.is_empty() {
            return;
        }
        let snapshot = self.snapshot(group, sources, now);
        let is_obsolete = snapshot.firing.is_empty() || group.is_acknowledged(&snapshot.firing);
        for destination in ready {
            if let Some(state) = group.escalation.as_mut() {
                state.deferred.remove(&destination);
            }
            if !is_obsolete {
                self.enqueue(group, &destination, &snapshot, Reason::Escalation, now);
            }
        }
    }

    /// Restarts a paused escalation after an unacknowledged alert has joined the group.
    pub(super) fn restart_escalation(
        &mut self,
        group: &mut Group,
        snapshot: &Snapshot,
        now: UnixMs,
    ) {
        if snapshot.firing.is_empty() || group.is_acknowledged(&snapshot.firing) {
            return;
        }
        let receiver = self.router.receiver(&group.receiver);
        if let Some(step) = receiver.and_then(|receiver| receiver.steps.first())
            && let Some(state) = group.escalation.as_mut()
            && state.is_paused
        {
            state.steps_executed = 0;
            state.is_paused = false;
            state.next_at = now + step.delay;
        }
    }
}
