//! Sends each [`Message`] to a person or another system: Slack, `PagerDuty`, e-mail, webhooks, the console.
//!
//! A [`Notifier`] sends to one address: one URL, one mailbox. It makes one attempt and returns the result; the runner
//! does retries, backoff, deadlines and the outbox. A channel with several addresses has several notifiers, so that no
//! address waits for another.

mod alertmanager;
mod console;
mod content;
#[cfg(feature = "email")]
mod email;
mod error;
mod http;
mod kind;
mod message;
mod pagerduty;
mod payload;
mod slack;
mod template;
mod webhook;

use std::{fmt, pin::Pin};

#[cfg(feature = "email")]
pub use self::email::Encryption;
pub use self::{
    alertmanager::AlertmanagerPeer,
    console::Console,
    error::{FailureClass, NotifyError},
    kind::ChannelKind,
    message::{Message, MessageAlert, MessageStatus, Reason},
    template::TemplateFiles,
    webhook::Webhook,
};
pub(crate) use self::{
    kind::{Built, ChannelContext, ChannelSpec, options, variables},
    message::hex,
};

/// The result of [`Notifier::notify`].
pub type NotifyFuture<'a> = Pin<Box<dyn Future<Output = Result<Receipt, NotifyError>> + Send + 'a>>;

/// Sends messages to one address.
///
/// The runner calls a notifier of the application on a thread of its own for each attempt, with one message at a time
/// for each address. The thread polls the future in the runtime of the runner, so the future may wait with `tokio`. An
/// attempt has a time limit of 30 s ([`NotificationOptions::attempt_timeout`](super::NotificationOptions)): the runner
/// then drops the future at its next await. If the notifier blocks its thread for longer, the address makes no further
/// attempt until the thread has returned; `observatory_notifier_hangs_total` counts the hang, and other addresses are
/// unaffected. After a retryable error the runner tries again with backoff until the message's deadline; any other
/// error is final. A message may come twice, after a crash or a lost answer: [`Message::dedup_key`] is the same then. A
/// panic fails the current message only.
///
/// ```
/// use llm_observatory::alerting::{FailureClass, Message, Notifier, NotifyError, NotifyFuture, Receipt};
/// use tokio::{io::AsyncWriteExt, net::TcpStream};
///
/// /// Writes a line to a TCP listener.
/// #[derive(Debug)]
/// struct Line {
///     address: String,
/// }
///
/// impl Notifier for Line {
///     fn notify<'a>(&'a self, message: &'a Message) -> NotifyFuture<'a> {
///         Box::pin(async move {
///             let unreachable = |error: std::io::Error| {
///                 NotifyError::new(FailureClass::Other, error.to_string()).retryable()
///             };
///             let mut peer = TcpStream::connect(&self.address).await.map_err(unreachable)?;
///             let line = format!("{}\n", message.title());
///             peer.write_all(line.as_bytes()).await.map_err(unreachable)?;
///             Ok(Receipt::new("written"))
///         })
///     }
/// }
/// ```
pub trait Notifier: fmt::Debug + Send + Sync {
    /// Makes one attempt.
    fn notify<'a>(&'a self, message: &'a Message) -> NotifyFuture<'a>;

    /// Returns `true` if a message opens an incident that only a resolved message closes. The runner closes the
    /// incident of a test message. Default: false.
    fn opens_incidents(&self) -> bool {
        false
    }
}

/// The answer of a peer that accepted a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The answer in a few words, such as `200 OK`. The history keeps it.
    pub answer: String,
}

impl Receipt {
    /// A receipt with the peer's answer.
    #[must_use]
    pub fn new(answer: impl Into<String>) -> Self {
        Self {
            answer: answer.into(),
        }
    }
}
