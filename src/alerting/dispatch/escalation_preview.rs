//! Builds the messages of an escalation in advance, for tests of the escalation.

use std::sync::Arc;

use super::Dispatcher;
use crate::{
    alerting::{Alert, Message, MessageAlert, MessageStatus, Reason, route::Destination},
    query::Labels,
    runtime::unix_ms::UnixMs,
};

impl Dispatcher {
    /// Returns the messages that an alert with these labels causes if it is never acknowledged, each with the number of
    /// its escalation step.
    ///
    /// The group keys contain `id`, the id of this test: with the key of the real group, an incident that the test
    /// opens would absorb the real alert.
    pub(crate) fn preview_escalation(
        &self,
        labels: &Labels,
        id: &str,
        now: UnixMs,
    ) -> Vec<(usize, Destination, Message)> {
        let mut messages = Vec::new();
        for at in self.router.routes_of(labels) {
            let node = self.router.node(at);
            let Some(receiver) = self.router.receiver(&node.receiver) else {
                continue;
            };
            let key = format!("test:{id}:{}:{}", node.key, node.group_labels(labels));
            let alert = Arc::new(Alert::new(labels.clone(), now.as_i64()));
            let first = std::iter::once(&receiver.destinations);
            let steps = first.chain(receiver.steps.iter().map(|step| &step.destinations));
            for (step, destinations) in steps.enumerate() {
                let alerts = vec![MessageAlert::new(Arc::clone(&alert), MessageStatus::Firing)];
                let mut message = Message::new(&*node.receiver, key.clone()).with_alerts(alerts);
                message.severity = super::flush::escalated_severity(message.severity, step);
                message.escalation_step = step;
                message.reason = Reason::Test;
                message.created_at = now.as_i64();
                let destinations = destinations.iter().cloned();
                messages
                    .extend(destinations.map(|destination| (step, destination, message.clone())));
            }
        }
        messages
    }
}
