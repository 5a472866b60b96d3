//! Tests channels: sends a test message to each address at once, without queue and backoff.
//!
//! Each test has a group key of its own. With the key of another test, or of a real group, a service that keeps
//! incidents by key would merge the incidents and notify no person. Incidents that a test opens are closed at the end
//! of the test.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Notifications, address::Address, peer::PeerQueue};
use crate::{
    alerting::{FailureClass, Message, NotifyError, Receipt},
    query::Labels,
};

/// The result of a test for one address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TestResult {
    /// The address: `webhook`, or `webhook/1`.
    pub destination: String,
    /// The escalation step, from 1; 0 for the addresses of the first notification.
    pub step: usize,
    /// The answer of the remote service, or the error.
    pub outcome: Result<Receipt, NotifyError>,
}

/// No channel has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no channel {name:?}; there are: {known}")]
pub struct UnknownChannel {
    name: String,
    known: String,
}

/// A test message for one address.
#[derive(Clone, Debug)]
struct TestMessage {
    step: usize,
    address: Arc<Address>,
    message: Message,
}

impl Notifications {
    /// Returns the names of the channels with the names of their addresses.
    pub(crate) fn channel_addresses(&self) -> BTreeMap<String, Vec<String>> {
        let of_channel = self.shared.addresses.iter().map(|(name, addresses)| {
            let addresses = addresses.iter().map(|address| address.name.clone());
            (name.clone(), addresses.collect())
        });
        of_channel.collect()
    }

    /// Sends a test message to every address of a channel: one attempt each, without queue and backoff.
    ///
    /// The incidents that the test opens are closed, so that the next test opens new incidents.
    ///
    /// # Errors
    /// If no channel has this name.
    pub async fn send_test(&self, channel: &str) -> Result<Vec<TestResult>, UnknownChannel> {
        let addresses = self.addresses_of(channel)?;
        let message = Message::test("test", self.now().as_i64());
        let message = message.with_group_key(format!("test:{}", Uuid::new_v4()));
        let messages = addresses.into_iter().map(|address| TestMessage {
            step: 0,
            address,
            message: message.clone(),
        });
        Ok(self.run_test(messages.collect()).await)
    }

    /// The addresses of a channel. Alertmanagers have none: their peers are `NAME/0`, `NAME/1`.
    fn addresses_of(&self, channel: &str) -> Result<Vec<Arc<Address>>, UnknownChannel> {
        if let Some(addresses) = self.shared.addresses.get(channel) {
            return Ok(addresses.clone());
        }
        let channel_of = |peer: &PeerQueue| {
            let (channel, _) = peer.name().rsplit_once('/').unwrap_or((peer.name(), ""));
            channel.to_owned()
        };
        let peers = self.shared.peers.iter();
        let tested: Vec<_> = peers
            .clone()
            .filter(|peer| channel_of(peer) == channel)
            .map(|peer| Arc::new(peer.test_address()))
            .collect();
        if !tested.is_empty() {
            return Ok(tested);
        }
        let known: BTreeSet<String> = peers
            .map(|peer| channel_of(peer))
            .chain(self.shared.addresses.keys().cloned())
            .collect();
        Err(UnknownChannel {
            name: channel.to_owned(),
            known: Vec::from_iter(known).join(", "),
        })
    }

    /// Tests every step of the escalation of an alert with these labels, without the delays of the steps: each address
    /// gets a test message with the number of the step and its severity. Incidents are closed after the last step.
    pub async fn test_escalation(&self, labels: &Labels) -> Vec<TestResult> {
        let id = Uuid::new_v4().to_string();
        let steps = {
            let (core, now) = self.shared.core_now();
            core.dispatcher.preview_escalation(labels, &id, now)
        };
        let messages = steps.into_iter().filter_map(|(step, to, message)| {
            let addresses = self.shared.addresses.get(&*to.channel)?;
            Some(TestMessage {
                step,
                address: Arc::clone(addresses.get(usize::from(to.index))?),
                message,
            })
        });
        self.run_test(messages.collect()).await
    }

    /// Sends the messages step by step; the messages of a step are sent concurrently.
    async fn run_test(&self, messages: Vec<TestMessage>) -> Vec<TestResult> {
        let timeout = self.shared.attempt_timeout;
        let mut results = Vec::new();
        for step in messages.chunk_by(|one, next| one.step == next.step) {
            let outcomes = attempt_all(step.to_vec(), timeout).await;
            results.extend(
                step.iter()
                    .zip(outcomes)
                    .map(|(message, outcome)| TestResult {
                        destination: message.address.name.clone(),
                        step: message.step,
                        outcome,
                    }),
            );
        }
        self.close_incidents(&messages, &mut results).await;
        results
    }

    /// Closes the incidents that the messages may have opened. If that fails, the result is an error, because a person
    /// must close the incident.
    async fn close_incidents(&self, messages: &[TestMessage], results: &mut [TestResult]) {
        let now = self.now().as_i64();
        let mut closed = BTreeSet::new();
        let (indices, resolved): (Vec<usize>, Vec<TestMessage>) = messages
            .iter()
            .enumerate()
            .filter(|(at, message)| {
                let is_open = match &results[*at].outcome {
                    Ok(_) => true,
                    Err(error) => error.maybe_received,
                };
                let incident = (&message.address.name, &message.message.dedup_key);
                is_open && message.address.notifier.opens_incidents() && closed.insert(incident)
            })
            .map(|(at, message)| {
                let resolved = TestMessage {
                    message: message.message.resolved(now),
                    ..message.clone()
                };
                (at, resolved)
            })
            .unzip();
        let outcomes = attempt_all(resolved, self.shared.attempt_timeout).await;
        for (at, outcome) in indices.into_iter().zip(outcomes) {
            let result = &mut results[at].outcome;
            if let (Ok(_), Err(mut error)) = (&*result, outcome) {
                error.text = format!(
                    "the test message was delivered, but its incident is still open: {}",
                    error.text
                );
                *result = Err(error);
            }
        }
    }
}

/// Runs one attempt per message concurrently; returns the outcomes in the order of the messages.
async fn attempt_all(
    messages: Vec<TestMessage>,
    timeout: Duration,
) -> Vec<Result<Receipt, NotifyError>> {
    let mut tasks = JoinSet::new();
    let mut outcomes = Vec::new();
    for (at, message) in messages.into_iter().enumerate() {
        let stopped = NotifyError::new(FailureClass::Other, "the runtime was stopped");
        outcomes.push(Err(stopped.maybe_received()));
        tasks.spawn(async move {
            let outcome = message.address.attempt(&message.message, timeout).await;
            (at, outcome)
        });
    }
    while let Some(task) = tasks.join_next().await {
        if let Ok((at, outcome)) = task {
            outcomes[at] = outcome;
        }
    }
    outcomes
}
