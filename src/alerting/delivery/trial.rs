//! Tests of channels: one attempt through each address, past queue and backoff.
//!
//! Each test is about a group of its own: with a key that another test has, or worse a real group, whoever keeps
//! incidents by that key would take one for the other and page nobody. What a test has opened is closed at its end.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::task::JoinSet;

use super::{Notifications, handle::new_id, unwind::attempt};
use crate::{
    alerting::{FailureClass, Message, Notifier, NotifyError, Receipt},
    query::Labels,
};

/// What one address said to a test.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TestResult {
    /// The address: `webhook`, or `webhook/1`.
    pub destination: String,
    /// The step of the escalation, from 1 on; 0 for those who are told at once.
    pub step: usize,
    /// Its answer, or precisely what went wrong.
    pub outcome: Result<Receipt, NotifyError>,
}

/// There is no channel with this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no channel {name:?}; there are: {known}")]
pub struct UnknownChannel {
    name: String,
    known: String,
}

/// One message for one address.
#[derive(Clone, Debug)]
struct Trial {
    destination: String,
    step: usize,
    notifier: Arc<dyn Notifier>,
    message: Message,
}

impl Notifications {
    /// Sends a test message through every address of a channel at once, one attempt each, past queue and backoff.
    ///
    /// An incident that the test opens is closed again, so that the next test opens another one.
    ///
    /// # Errors
    /// When there is no such channel.
    pub async fn send_test(&self, channel: &str) -> Result<Vec<TestResult>, UnknownChannel> {
        let Some(found) = self.shared.channels.get(channel) else {
            let known: Vec<&str> = self.shared.channels.keys().map(String::as_str).collect();
            return Err(UnknownChannel {
                name: channel.to_owned(),
                known: known.join(", "),
            });
        };
        let message = Message::test("test", self.now());
        let message = message.with_group_key(format!("test:{}", new_id()));
        let trials = found.notifiers.iter().enumerate().map(|(index, notifier)| {
            let destination = if index == 0 {
                channel.to_owned()
            } else {
                format!("{channel}/{index}")
            };
            Trial {
                destination,
                step: 0,
                notifier: Arc::clone(notifier),
                message: message.clone(),
            }
        });
        Ok(self.tried(trials.collect()).await)
    }

    /// Walks every step of the escalation that an alert with these labels would take, without waiting: each address
    /// gets a test message with the step and the severity that it would have. Incidents are closed after the last one.
    pub async fn test_escalation(&self, labels: &Labels) -> Vec<TestResult> {
        let (now, id) = (self.now(), new_id());
        let steps = self
            .shared
            .core()
            .dispatcher
            .test_messages(labels, &id, now);
        let trials = steps.into_iter().filter_map(|(step, to, message)| {
            let channel = self.shared.channels.get(&*to.channel)?;
            Some(Trial {
                destination: to.to_string(),
                step,
                notifier: Arc::clone(channel.notifiers.get(usize::from(to.index))?),
                message,
            })
        });
        self.tried(trials.collect()).await
    }

    /// Step by step, all addresses of a step at once.
    async fn tried(&self, trials: Vec<Trial>) -> Vec<TestResult> {
        let timeout = self.shared.attempt_timeout;
        let mut results = Vec::new();
        for step in trials.chunk_by(|one, next| one.step == next.step) {
            let outcomes = at_once(step.to_vec(), timeout).await;
            results.extend(
                step.iter()
                    .zip(outcomes)
                    .map(|(trial, outcome)| TestResult {
                        destination: trial.destination.clone(),
                        step: trial.step,
                        outcome,
                    }),
            );
        }
        self.close(&trials, &mut results).await;
        results
    }

    /// Closes what the tests may have opened; where that fails, somebody must do it by hand.
    async fn close(&self, trials: &[Trial], results: &mut [TestResult]) {
        let now = self.now();
        let mut closed = BTreeSet::new();
        let (places, ends): (Vec<usize>, Vec<Trial>) = trials
            .iter()
            .enumerate()
            .filter(|(at, trial)| {
                let is_open = match &results[*at].outcome {
                    Ok(_) => true,
                    Err(error) => error.maybe_received,
                };
                let incident = (&trial.destination, &trial.message.dedup_key);
                is_open && trial.notifier.opens_incidents() && closed.insert(incident)
            })
            .map(|(at, trial)| {
                let message = trial.message.resolved(now);
                let end = Trial {
                    message,
                    ..trial.clone()
                };
                (at, end)
            })
            .unzip();
        let outcomes = at_once(ends, self.shared.attempt_timeout).await;
        for (at, outcome) in places.into_iter().zip(outcomes) {
            let result = &mut results[at].outcome;
            if let (Ok(_), Err(mut error)) = (&*result, outcome) {
                error.text = format!("the test is delivered, but still open: {}", error.text);
                *result = Err(error);
            }
        }
    }
}

/// An attempt each, in the order of the trials.
async fn at_once(trials: Vec<Trial>, timeout: Duration) -> Vec<Result<Receipt, NotifyError>> {
    let mut tasks = JoinSet::new();
    let mut outcomes = Vec::new();
    for (at, trial) in trials.into_iter().enumerate() {
        let stopped = NotifyError::new(FailureClass::Other, "the runtime has been stopped");
        outcomes.push(Err(stopped.maybe_received()));
        tasks.spawn(async move {
            let outcome = attempt(&*trial.notifier, &trial.message, timeout).await;
            (at, outcome)
        });
    }
    while let Some(ended) = tasks.join_next().await {
        if let Ok((at, outcome)) = ended {
            outcomes[at] = outcome;
        }
    }
    outcomes
}
