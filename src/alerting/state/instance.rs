//! Tracks the state of a single alert.

use std::collections::BTreeMap;

use super::{ConditionMatch, RESOLVED_RETENTION_MS, RuleTiming};
use crate::query::{Label, Labels, LabelsBuilder};
use crate::runtime::unix_ms::shift_ms;

/// The state of an alert.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// The condition is not met.
    Inactive,
    /// The condition is met, but not yet for the duration of the rule's `for`.
    Pending,
    /// The condition is met, or was met within `keep_firing_for`.
    Firing,
}

impl AlertState {
    /// Returns the name of the state, as in the label `alertstate`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// An alert of a rule; times are milliseconds since the epoch.
#[derive(Debug)]
pub(crate) struct AlertInstance {
    pub(crate) labels: Labels,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) value: Option<f64>,
    pub(crate) state: AlertState,
    pub(crate) active_at: i64,
    pub(crate) fired_at: Option<i64>,
    pub(crate) resolved_at: Option<i64>,
    pub(crate) keep_firing_since: Option<i64>,
    pub(crate) last_sent_at: Option<i64>,
    pub(crate) valid_until: i64,
    /// The hold of an alert that was restored as firing, because the series store is still filling.
    pub(crate) hold: Option<RestoreHold>,
    /// The state, and the labels of the `ALERTS` series for this state and of `ALERTS_FOR_STATE`.
    series: Option<(AlertState, Labels, Labels)>,
}

/// The times before which an alert that was restored as firing is not resolved; in milliseconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RestoreHold {
    pub(crate) until: i64,
    /// The time while a metric of the expression has no sample of this run.
    pub(crate) without_data_until: i64,
}

/// The time and the intervals that determine which alerts are sent; in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendTiming {
    pub(crate) now: i64,
    pub(crate) resend_delay: i64,
    pub(crate) interval: i64,
}

impl SendTiming {
    /// Returns the expiry of an alert that is sent now: after four intervals, as in Prometheus, so that two consecutive
    /// sends may fail.
    pub(crate) fn valid_until(&self) -> i64 {
        self.now
            .saturating_add(self.resend_delay.max(self.interval).saturating_mul(4))
    }
}

impl AlertInstance {
    pub(super) fn pending(met: ConditionMatch, now: i64) -> Self {
        Self {
            labels: met.labels,
            annotations: met.annotations,
            value: met.value,
            state: AlertState::Pending,
            active_at: now,
            fired_at: None,
            resolved_at: None,
            keep_firing_since: None,
            last_sent_at: None,
            valid_until: 0,
            hold: None,
            series: None,
        }
    }

    /// Moves the alert by a step of the wall clock.
    pub(super) fn shift(&mut self, by_ms: i64) {
        let optional = [
            &mut self.fired_at,
            &mut self.resolved_at,
            &mut self.keep_firing_since,
            &mut self.last_sent_at,
        ];
        let holds = self.hold.iter_mut();
        let holds = holds.flat_map(|hold| [&mut hold.until, &mut hold.without_data_until]);
        let times = optional.into_iter().flatten().chain(holds);
        for time in times.chain([&mut self.active_at, &mut self.valid_until]) {
            shift_ms(time, by_ms);
        }
    }

    /// Starts to fire once the condition has been met for `for`; becomes pending again if a reload has made `for`
    /// longer.
    pub(super) fn update_hold(&mut self, timing: &RuleTiming) {
        let is_held_long_enough = timing.now.saturating_sub(self.active_at) >= timing.hold_for;
        if self.state == AlertState::Pending && is_held_long_enough {
            self.state = AlertState::Firing;
            self.fired_at = Some(timing.now);
        }
        if self.state == AlertState::Firing && !is_held_long_enough {
            self.state = AlertState::Pending;
            self.fired_at = None;
            self.last_sent_at = None;
            self.keep_firing_since = None;
            self.hold = None;
        }
    }

    /// Applies an evaluation in which the condition was not met; returns whether the alert is kept.
    pub(super) fn advance_unmet(&mut self, timing: &RuleTiming) -> bool {
        match self.state {
            AlertState::Pending => return false,
            AlertState::Inactive => return !self.is_past_retention(timing.now),
            AlertState::Firing => {}
        }
        let is_held = self.hold.is_some_and(|hold| {
            timing.now < hold.until
                || (timing.is_data_missing && timing.now < hold.without_data_until)
        });
        let mut is_kept = is_held;
        if !is_held && timing.keep_firing_for > 0 {
            let since = *self.keep_firing_since.get_or_insert(timing.now);
            is_kept = timing.now.saturating_sub(since) < timing.keep_firing_for;
        }
        if is_kept {
            self.update_hold(timing);
        } else {
            self.resolve(timing.now);
        }
        true
    }

    pub(super) fn resolve(&mut self, now: i64) {
        self.state = AlertState::Inactive;
        self.resolved_at = Some(now);
        self.hold = None;
    }

    pub(super) fn is_past_retention(&self, now: i64) -> bool {
        self.resolved_at
            .is_some_and(|at| now.saturating_sub(at) > RESOLVED_RETENTION_MS)
    }

    pub(super) fn needs_sending(&self, timing: &SendTiming) -> bool {
        if self.state == AlertState::Pending {
            return false;
        }
        let Some(last) = self.last_sent_at else {
            return true;
        };
        // A resolved alert is sent immediately.
        self.resolved_at.is_some_and(|at| at > last)
            || last.saturating_add(timing.resend_delay) < timing.now
    }

    /// Adds the series `ALERTS` and `ALERTS_FOR_STATE`, which exist for active alerts only.
    pub(super) fn series(&mut self, out: &mut Vec<(Labels, f64)>) {
        if self.state == AlertState::Inactive {
            self.series = None;
            return;
        }
        let is_current = |series: &&(AlertState, Labels, Labels)| series.0 == self.state;
        let known = self.series.as_ref().filter(is_current);
        let (alerts, for_state) = if let Some((_, alerts, for_state)) = known {
            (alerts.clone(), for_state.clone())
        } else {
            let mut builder = LabelsBuilder::from_labels(&self.labels);
            builder.set(Label::new("__name__", "ALERTS_FOR_STATE"));
            let for_state = builder.clone().build();
            builder.set(Label::new("__name__", "ALERTS"));
            builder.set(Label::new("alertstate", self.state.as_str()));
            let alerts = builder.build();
            self.series = Some((self.state, alerts.clone(), for_state.clone()));
            (alerts, for_state)
        };
        out.push((alerts, 1.0));
        // Whole seconds, as in Prometheus.
        out.push((for_state, self.active_at.div_euclid(1000) as f64));
    }
}
