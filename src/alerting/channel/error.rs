//! Describes why an attempt to notify failed, and whether a retry can help.

use std::{fmt, time::Duration};

/// The error of a failed attempt. Its text has no secret and no URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
#[non_exhaustive]
pub struct NotifyError {
    /// The kind of failure.
    pub class: FailureClass,
    /// True if a retry can help.
    pub is_retryable: bool,
    /// The time that the peer asks to wait.
    pub retry_after: Option<Duration>,
    /// True if the peer may have received the message despite the error.
    pub maybe_received: bool,
    /// The description of the error for a person.
    pub text: String,
}

/// The kinds of failure, as the metrics and Alertmanager name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FailureClass {
    /// The peer rejects the message: a 4xx.
    ClientError,
    /// The peer fails: a 5xx.
    ServerError,
    /// The peer limits the rate of messages: a 429.
    RateLimited,
    /// The peer rejects the credentials: a 401 or 403.
    AuthError,
    /// The peer did not answer before the deadline.
    DeadlineExceeded,
    /// Another failure: of the connection, of name resolution, of TLS.
    Other,
}

impl NotifyError {
    /// Creates an error that a retry does not help.
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

    /// Marks the error as retryable.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.is_retryable = true;
        self
    }

    /// Sets the time to wait before the next attempt.
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

    /// The value of the label `reason` in metrics.
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
