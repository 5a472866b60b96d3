//! Escalation: nobody has acknowledged, so more people hear of it, and it sounds worse.

use super::{Dispatcher, flush::Speech, group::Group};
use crate::alerting::{Reason, route::InhibitSources};

impl Dispatcher {
    /// Takes the step that is due, if one is.
    ///
    /// What is kept back at that moment (by a silence, by another alert, by the hour) is not escalated behind that:
    /// the step's delay begins again.
    pub(super) fn escalate(&mut self, group: &mut Group, sources: &InhibitSources, now: i64) {
        self.pay_owed(group, sources, now);
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
        let speech = self.speech(group, sources, now);
        let is_acknowledged = group.is_acknowledged(&speech.firing);
        let is_over = !self.has_firing_members(group, now);
        let Some(state) = group.escalation.as_mut() else {
            return;
        };
        if is_over || steps.is_empty() {
            // The next flush says that it is over.
            state.next_at = i64::MAX;
            return;
        }
        if is_acknowledged {
            self.counts.acknowledged += 1;
            (state.next_at, state.is_paused) = (i64::MAX, true);
            return;
        }
        let step = &steps[state.taken % steps.len()];
        if speech.firing.is_empty() {
            state.next_at = now.saturating_add(step.delay_ms);
            return;
        }
        state.taken += 1;
        state.highest = state.highest.max(state.taken.min(steps.len()));
        let has_next = repeat || state.taken < steps.len();
        state.next_at = if has_next {
            now.saturating_add(steps[state.taken % steps.len()].delay_ms)
        } else {
            i64::MAX
        };
        for destination in &step.destinations {
            if !group.in_flight.contains_key(destination) {
                self.emit(group, destination, &speech, Reason::Escalation, now);
            } else if let Some(state) = group.escalation.as_mut() {
                state.owed.insert(destination.clone());
            }
        }
        group.last_notified = now;
    }

    /// Tells the addresses that were busy when a step was taken, unless there is nothing to escalate any more.
    fn pay_owed(&mut self, group: &mut Group, sources: &InhibitSources, now: i64) {
        let Some(state) = &group.escalation else {
            return;
        };
        let free: Vec<_> = group.free_of_owed(state).cloned().collect();
        if free.is_empty() {
            return;
        }
        let speech = self.speech(group, sources, now);
        let is_moot = speech.firing.is_empty() || group.is_acknowledged(&speech.firing);
        for destination in free {
            if let Some(state) = group.escalation.as_mut() {
                state.owed.remove(&destination);
            }
            if !is_moot {
                self.emit(group, &destination, &speech, Reason::Escalation, now);
            }
        }
    }

    /// An alert that nobody has acknowledged has joined an acknowledged group: the clock starts again.
    pub(super) fn restart_escalation(&mut self, group: &mut Group, speech: &Speech, now: i64) {
        if speech.firing.is_empty() || group.is_acknowledged(&speech.firing) {
            return;
        }
        let receiver = self.router.receiver(&group.receiver);
        if let Some(step) = receiver.and_then(|receiver| receiver.steps.first())
            && let Some(state) = group.escalation.as_mut()
            && state.is_paused
        {
            state.taken = 0;
            state.is_paused = false;
            state.next_at = now.saturating_add(step.delay_ms);
        }
    }
}
