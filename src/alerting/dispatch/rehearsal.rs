//! What an escalation would say, step by step.

use std::sync::Arc;

use super::Dispatcher;
use crate::{
    alerting::{Alert, Message, MessageAlert, Reason, Status, route::Destination},
    query::Labels,
};

impl Dispatcher {
    /// The messages that an alert with these labels would cause if nobody ever acknowledged, each with its step.
    ///
    /// Their groups are those of this rehearsal, by its `id`: with the real group's key, an incident that a test has
    /// opened would swallow the real alert.
    pub(crate) fn test_messages(
        &self,
        labels: &Labels,
        id: &str,
        now: i64,
    ) -> Vec<(usize, Destination, Message)> {
        let mut messages = Vec::new();
        for at in self.router.routes_of(labels) {
            let node = self.router.node(at);
            let Some(receiver) = self.router.receiver(&node.receiver) else {
                continue;
            };
            let key = format!("test:{id}:{}:{}", node.key, node.group_labels(labels));
            let alert = Arc::new(Alert::new(labels.clone(), now));
            let first = std::iter::once(&receiver.destinations);
            let steps = first.chain(receiver.steps.iter().map(|step| &step.destinations));
            for (step, destinations) in steps.enumerate() {
                let alerts = vec![MessageAlert::new(Arc::clone(&alert), Status::Firing)];
                let mut message = Message::new(&*node.receiver, key.clone()).with_alerts(alerts);
                message.severity = super::flush::raised(message.severity, step);
                message.escalation_step = step;
                message.reason = Reason::Test;
                message.created_at = now;
                let told = destinations.iter().cloned();
                messages.extend(told.map(|destination| (step, destination, message.clone())));
            }
        }
        messages
    }
}
