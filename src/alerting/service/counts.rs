//! Publishes the counts of rules and notifications in the observatory's own metrics.

use std::time::Duration;

use super::Alerting;
use crate::{
    alerting::{AlertState, Evaluation, FailureClass},
    metrics::{Registry, catalog},
};

/// Counts an evaluation of the rules that were due.
pub(super) fn record_evaluation(registry: &Registry, evaluation: &Evaluation, duration: Duration) {
    let failures = evaluation.failures.len() as u64;
    registry
        .counter(&catalog::RULE_EVALUATIONS, &[])
        .add(evaluation.rules);
    registry.counter(&catalog::RULE_FAILURES, &[]).add(failures);
    registry
        .histogram(&catalog::RULE_DURATION, &[])
        .record(duration.as_secs_f64());
}

/// Copies the counts of rules and notifications into their metrics.
pub(super) fn publish(registry: &Registry, alerting: &Alerting) {
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
        for (metric, value) in [
            (&catalog::NOTIFICATIONS_SENT, count.sent),
            (&catalog::NOTIFIER_HANGS, count.hangs),
        ] {
            registry.counter(metric, &[channel]).raise_to(value);
        }
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
