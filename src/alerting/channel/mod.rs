//! Turns a [`Message`] into something that a person, or another system, gets.
//!
//! A [`Notifier`] is one address: one URL, one mailbox. It makes one attempt and says what came of it; retries,
//! backoff, deadlines and the outbox are the runner's. A channel of several addresses is several notifiers, so that
//! none of them waits for another.

mod alertmanager;
mod console;
mod content;
#[cfg(feature = "email")]
mod email;
mod error;
mod http;
mod kind;
mod message;
mod pace;
mod pagerduty;
mod payload;
mod slack;
mod template;
mod webhook;

use std::{fmt, pin::Pin};

#[cfg(feature = "email")]
pub use self::email::{EmailOptions, Encryption};
pub use self::{
    alertmanager::{AlertmanagerOptions, AlertmanagerPeer},
    console::{Console, ConsoleOptions},
    error::{FailureClass, NotifyError},
    http::{HttpClient, HttpClientError, HttpOptions},
    kind::ChannelKind,
    message::{Message, MessageAlert, Reason, Status},
    pagerduty::PagerDutyOptions,
    slack::SlackOptions,
    webhook::{Webhook, WebhookOptions},
};
pub(crate) use self::{
    kind::{Built, ChannelContext, ChannelSpec, variables},
    message::hex,
};

/// What [`Notifier::notify`] returns.
pub type NotifyFuture<'a> = Pin<Box<dyn Future<Output = Result<Receipt, NotifyError>> + Send + 'a>>;

/// Sends messages to one address.
///
/// It is called on the observatory's own thread, by one task per address, with one message at a time. It must not
/// block: wait with `tokio`, or hand the work to a thread. An error that is retryable is tried again with backoff
/// until the message's deadline; any other one is final. A message may come twice, after a crash or after an answer
/// that got lost: [`Message::dedup_key`] is the same then. A panic fails this message only.
///
/// ```
/// use llm_observatory::alerting::{FailureClass, Message, Notifier, NotifyError, NotifyFuture, Receipt};
/// use tokio::{io::AsyncWriteExt, net::TcpStream};
///
/// /// Writes a line to whoever listens there.
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

    /// Whether a message opens what only its end closes, such as an incident: a test is closed again then.
    /// Default: false.
    fn opens_incidents(&self) -> bool {
        false
    }
}

/// What a peer said when it accepted a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// Its answer in a few words, such as `200 OK`; the history keeps it.
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
