//! Describes why an attempt to notify failed, and whether a retry can help.

use std::{fmt, time::Duration};

use crate::runtime::named;

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

named! {
    /// The kinds of failure, as the metrics and Alertmanager name them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    #[non_exhaustive]
    pub enum FailureClass {
        /// The peer rejects the message: a 4xx.
        ClientError = "clientError",
        /// The peer fails: a 5xx.
        ServerError = "serverError",
        /// The peer limits the rate of messages: a 429.
        RateLimited = "rateLimited",
        /// The peer rejects the credentials: a 401 or 403.
        AuthError = "authError",
        /// The peer did not answer before the deadline.
        DeadlineExceeded = "deadlineExceeded",
        /// Another failure: of the connection, of name resolution, of TLS.
        Other = "other",
    }
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

    /// Returns the conversion of an error of writing `what`, the content of a message.
    pub(super) fn unwritten<E: fmt::Display>(what: &str) -> impl Fn(E) -> Self {
        move |error| {
            Self::new(
                FailureClass::Other,
                format!("cannot write the {what}: {error}"),
            )
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

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
