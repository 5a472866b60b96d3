//! Rules and notifications in the observatory's own metrics.

use std::{collections::HashMap, time::Duration};

use super::Alerting;
use crate::{
    alerting::{AlertState, Evaluation, FailureClass, RuleFailure},
    metrics::{Registry, catalog},
};

/// Time after which a failure that goes on is said again.
const SAY_AGAIN: Duration = Duration::from_hours(1);

/// What was said of rules that fail, so that it is not said at every evaluation.
#[derive(Debug, Default)]
pub(super) struct Said(HashMap<(String, String), (String, Duration)>);

impl Said {
    /// Whether this failure is to be said: a new one, or one that has gone on for long.
    pub(super) fn is_news(&mut self, failure: &RuleFailure, now: Duration) -> bool {
        // One that was not said for so long is either over or to be said again.
        self.0
            .retain(|_, (_, at)| now.saturating_sub(*at) < SAY_AGAIN);
        let rule = (failure.group.clone(), failure.rule.clone());
        let is_old = |(error, _): &(String, Duration)| *error == failure.error;
        if self.0.get(&rule).is_some_and(is_old) {
            return false;
        }
        self.0.insert(rule, (failure.error.clone(), now));
        true
    }
}

/// Counts a round of evaluations.
pub(super) fn evaluated(registry: &Registry, evaluation: &Evaluation, took: Duration) {
    let failures = evaluation.failures.len() as u64;
    registry
        .counter(&catalog::RULE_EVALUATIONS, &[])
        .add(evaluation.rules);
    registry.counter(&catalog::RULE_FAILURES, &[]).add(failures);
    registry
        .histogram(&catalog::RULE_DURATION, &[])
        .record(took.as_secs_f64());
}

/// Shows what is kept in counts elsewhere.
pub(super) fn show(registry: &Registry, alerting: &Alerting) {
    let gauge = |metric, labels: &[(&str, &str)], value: usize| {
        registry.gauge(metric, labels).set(value as f64);
    };
    {
        let rules = alerting.rules();
        for (state, name) in [
            (AlertState::Pending, "pending"),
            (AlertState::Firing, "firing"),
        ] {
            let labels = [("alertstate", name)];
            gauge(&catalog::ALERTS_NOW, &labels, rules.count(state));
        }
    }
    let counts = alerting.notifications().counts();
    gauge(&catalog::OUTBOX_DEPTH, &[], counts.outbox_depth);
    registry
        .counter(&catalog::ALERT_STORE_FAILURES, &[])
        .raise_to(counts.store_failures);
    for (channel, count) in &counts.channels {
        let channel = ("channel", channel.as_str());
        registry
            .counter(&catalog::NOTIFICATIONS_SENT, &[channel])
            .raise_to(count.sent);
        for class in FailureClass::ALL {
            let failed = count.failed.get(&class).copied().unwrap_or_default();
            registry
                .counter(
                    &catalog::NOTIFICATIONS_FAILED,
                    &[channel, ("reason", class.as_str())],
                )
                .raise_to(failed);
        }
    }
    for (peer, count) in &counts.peers {
        let peer = ("peer", peer.as_str());
        for (metric, value) in [
            (&catalog::PEER_ALERTS_SENT, count.sent),
            (&catalog::PEER_ALERTS_DROPPED, count.refused + count.dropped),
            (&catalog::PEER_REQUESTS_FAILED, count.failed_requests),
        ] {
            registry.counter(metric, &[peer]).raise_to(value);
        }
    }
    let suppressed = counts.suppressed;
    for (reason, count) in [
        ("silence", suppressed.silence),
        ("inhibition", suppressed.inhibition),
        ("mute_interval", suppressed.mute_interval),
        ("grouping", suppressed.grouping),
        ("flapping", suppressed.flapping),
        ("acknowledged", suppressed.acknowledged),
        ("alert_limit", suppressed.alerts_over_limit),
        ("group_limit", suppressed.groups_over_limit),
    ] {
        registry
            .counter(&catalog::NOTIFICATIONS_SUPPRESSED, &[("reason", reason)])
            .raise_to(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_goes_on_is_said_once_an_hour() {
        let mut said = Said::default();
        let failure = |error: &str| RuleFailure {
            group: "g".to_owned(),
            rule: "r".to_owned(),
            error: error.to_owned(),
        };
        let at = Duration::from_mins;
        assert!(said.is_news(&failure("a"), at(0)));
        assert!(!said.is_news(&failure("a"), at(59)));
        assert!(said.is_news(&failure("b"), at(59)));
        assert!(!said.is_news(&failure("b"), at(60)));
        assert!(said.is_news(&failure("b"), at(119)));
    }
}
