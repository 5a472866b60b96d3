//! One alert of a rule.

use std::collections::BTreeMap;

use super::{Met, RESOLVED_RETENTION, Timing};
use crate::query::{Label, Labels, LabelsBuilder};

/// Where an alert stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// It is not met.
    Inactive,
    /// It is met, but not for long enough.
    Pending,
    /// It is met, or was until a moment ago.
    Firing,
}

impl AlertState {
    /// Its name in the label `alertstate`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// One alert of a rule; times are milliseconds since the epoch.
#[derive(Debug)]
pub(crate) struct Instance {
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
    /// Restored as firing, it does not end before the series store has had time to fill.
    pub(crate) held_until: Option<i64>,
    /// The labels of its two series, and the state that the first was made for.
    series: Option<(AlertState, Labels, Labels)>,
}

/// When alerts are told again; milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sending {
    pub(crate) now: i64,
    pub(crate) resend_delay: i64,
    pub(crate) interval: i64,
}

impl Sending {
    /// Prometheus: what is told holds good for four intervals, so that two may fail.
    pub(crate) fn valid_until(&self) -> i64 {
        self.now
            .saturating_add(self.resend_delay.max(self.interval).saturating_mul(4))
    }
}

impl Instance {
    pub(super) fn pending(met: Met, now: i64) -> Self {
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
            held_until: None,
            series: None,
        }
    }

    /// Fires once it has been met for long enough; waits again when that has become longer.
    pub(super) fn ripen(&mut self, timing: &Timing) {
        let is_ripe = timing.now.saturating_sub(self.active_at) >= timing.hold_for;
        if self.state == AlertState::Pending && is_ripe {
            self.state = AlertState::Firing;
            self.fired_at = Some(timing.now);
        }
        if self.state == AlertState::Firing && !is_ripe {
            self.state = AlertState::Pending;
            self.fired_at = None;
            self.last_sent_at = None;
            self.keep_firing_since = None;
            self.held_until = None;
        }
    }

    /// Takes that it was not met; returns whether it is remembered any longer.
    pub(super) fn was_not_met(&mut self, timing: &Timing) -> bool {
        match self.state {
            AlertState::Pending => return false,
            AlertState::Inactive => return !self.is_forgotten(timing.now),
            AlertState::Firing => {}
        }
        let is_held = self.held_until.is_some_and(|until| timing.now < until);
        let mut is_kept = is_held;
        if !is_held && timing.keep_firing_for > 0 {
            let since = *self.keep_firing_since.get_or_insert(timing.now);
            is_kept = timing.now.saturating_sub(since) < timing.keep_firing_for;
        }
        if is_kept {
            self.ripen(timing);
        } else {
            self.resolve(timing.now);
        }
        true
    }

    pub(super) fn resolve(&mut self, now: i64) {
        self.state = AlertState::Inactive;
        self.resolved_at = Some(now);
        self.held_until = None;
    }

    pub(super) fn is_forgotten(&self, now: i64) -> bool {
        self.resolved_at
            .is_some_and(|at| now.saturating_sub(at) > RESOLVED_RETENTION)
    }

    pub(super) fn needs_sending(&self, sending: &Sending) -> bool {
        if self.state == AlertState::Pending {
            return false;
        }
        let Some(last) = self.last_sent_at else {
            return true;
        };
        // A resolve goes out at once.
        self.resolved_at.is_some_and(|at| at > last)
            || last.saturating_add(sending.resend_delay) < sending.now
    }

    /// Adds `ALERTS` and `ALERTS_FOR_STATE`, which only an active alert has.
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
        // Whole seconds, as Prometheus.
        out.push((for_state, self.active_at.div_euclid(1000) as f64));
    }
}
