//! Why an attempt failed, and whether another one can help.

use std::{fmt, time::Duration};

/// An attempt that failed. Its text holds no secret and no URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
#[non_exhaustive]
pub struct NotifyError {
    /// What kind of failure it is.
    pub class: FailureClass,
    /// Whether another attempt can help.
    pub is_retryable: bool,
    /// How long the peer asks to wait.
    pub retry_after: Option<Duration>,
    /// Whether the peer may have got the message all the same.
    pub maybe_received: bool,
    /// What went wrong, for a person.
    pub text: String,
}

/// The kinds of failure, as the metrics and Alertmanager name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FailureClass {
    /// The peer finds the message wrong: a 4xx.
    ClientError,
    /// The peer has a problem: a 5xx.
    ServerError,
    /// The peer wants fewer messages: a 429.
    RateLimited,
    /// The peer does not know us: a 401 or 403.
    AuthError,
    /// There was no answer in time.
    DeadlineExceeded,
    /// Anything else: no connection, no name, no trust.
    Other,
}

impl NotifyError {
    /// A failure that another attempt does not mend.
    #[must_use]
    pub fn new(class: FailureClass, text: impl Into<String>) -> Self {
        Self {
            class,
            is_retryable: false,
            retry_after: None,
            maybe_received: false,
            text: text.into(),
        }
    }

    /// Says that another attempt may help.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.is_retryable = true;
        self
    }

    /// Says how long to wait before the next attempt.
    #[must_use]
    pub fn after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// Says that the peer may have got the message.
    #[must_use]
    pub fn maybe_received(mut self) -> Self {
        self.maybe_received = true;
        self
    }
}

impl FailureClass {
    /// Every class.
    pub const ALL: [Self; 6] = [
        Self::ClientError,
        Self::ServerError,
        Self::RateLimited,
        Self::AuthError,
        Self::DeadlineExceeded,
        Self::Other,
    ];

    /// Its name: the value of the label `reason`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientError => "clientError",
            Self::ServerError => "serverError",
            Self::RateLimited => "rateLimited",
            Self::AuthError => "authError",
            Self::DeadlineExceeded => "deadlineExceeded",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
