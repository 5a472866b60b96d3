//! Whom an alert reaches when nobody acknowledges it.

use std::time::Duration;

/// How an alert that nobody acknowledges is passed on; the router does it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Escalation {
    /// Time from the first notification to the first step. Default: `None`, the configured escalation delay (15 min).
    pub delay: Option<Duration>,
    /// Whom each step reaches. Default: none, the rule's own channels again, one severity up.
    pub steps: Vec<EscalationStep>,
    /// Whether the last step is followed by the first. Default: false.
    pub repeat: bool,
}

/// One step of an [`Escalation`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EscalationStep {
    /// Names of the channels that are told.
    pub channels: Vec<String>,
    /// Time since the step before; `None`: the escalation's own delay.
    pub delay: Option<Duration>,
}

impl Escalation {
    /// An escalation after the configured delay, to the rule's own channels.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the time from the first notification to the first step.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// Adds a step.
    #[must_use]
    pub fn step(mut self, step: EscalationStep) -> Self {
        self.steps.push(step);
        self
    }

    /// Starts again after the last step.
    #[must_use]
    pub fn repeating(mut self) -> Self {
        self.repeat = true;
        self
    }
}

impl EscalationStep {
    /// A step that tells these channels.
    #[must_use]
    pub fn new<C: Into<String>>(channels: impl IntoIterator<Item = C>) -> Self {
        Self {
            channels: channels.into_iter().map(Into::into).collect(),
            delay: None,
        }
    }

    /// Sets the time since the step before.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }
}
