//! Sends mail to people through a mail server, whose certificate is checked.
//!
//! Each recipient is a notifier of its own: an address that the server rejects does not affect the other recipients. The
//! header of each mail names all recipients, so that they can answer each other.

mod build;
mod compose;
mod html;
mod options;
mod smtp;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use lettre::{Address, message::Mailbox};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

pub use self::options::{EmailOptions, Encryption};
use self::smtp::Server;
use super::{
    Built, ChannelContext, ChannelSpec, FailureClass, Message, Notifier, NotifyError, NotifyFuture,
    template::{Escape, Slot, Templates},
};
use crate::{
    alerting::{AlertingConfig, ChannelKind, RoutingError, delivery::ATTEMPT_TIMEOUT},
    privacy::Secret,
    runtime::unix_ms::UnixMs,
    settings::{Invalid, Variable},
};

/// The maximum time of a delivery: an attempt has 30 s ([`ATTEMPT_TIMEOUT`]), with the wait for a connection and the
/// end of the session.
const MAX_TIMEOUT: Duration = ATTEMPT_TIMEOUT.saturating_sub(Duration::from_secs(2));

/// The texts that a template can replace.
const SLOTS: [Slot; 3] = [
    Slot::new("subject", Escape::Plain),
    Slot::new("text", Escape::Plain),
    Slot::new("html", Escape::Html),
];

/// One recipient.
struct Email {
    to: Address,
    shared: Arc<Shared>,
}

/// The state that the recipients of a channel share.
struct Shared {
    from: Mailbox,
    to: Vec<Mailbox>,
    /// The name of the channel, as part of a Message-ID.
    channel: String,
    max_alerts: usize,
    templates: Templates,
    server: Server,
    connections: Semaphore,
}

impl Notifier for Email {
    fn notify<'a>(&'a self, message: &'a Message) -> NotifyFuture<'a> {
        Box::pin(async move {
            let shared = &*self.shared;
            let rendered = shared.templates.render(message);
            let now = UnixMs::from(SystemTime::now());
            let mail = compose::mail(message, shared, &rendered, now.as_i64())
                .map_err(NotifyError::unwritten("mail"))?;
            let _permit = shared.connection_permit().await?;
            shared
                .server
                .deliver(&shared.from.email, &self.to, &mail)
                .await
        })
    }
}

impl Shared {
    /// Waits for a free connection, as long as enough time for the whole delivery remains: a delivery that is cut off
    /// during its content may come twice.
    async fn connection_permit(&self) -> Result<SemaphorePermit<'_>, NotifyError> {
        let max_wait = MAX_TIMEOUT.saturating_sub(self.server.timeout);
        let permit = timeout(max_wait, self.connections.acquire()).await;
        permit.ok().and_then(Result::ok).ok_or_else(|| {
            let text = format!("all connections to {} are in use", self.server.host);
            NotifyError::new(FailureClass::DeadlineExceeded, text).retryable()
        })
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Email")
            .field("to", &self.to)
            .field("server", &self.shared.server)
            .finish_non_exhaustive()
    }
}

impl ChannelSpec for EmailOptions {
    /// Services that send mail of their own use the variables of SMTP, too; only `ALERT_TO_EMAILS` makes a channel.
    const VARIABLES: &[Variable<AlertingConfig>] = &[
        Variable::new("ALERT_TO_EMAILS", |alerting, value| {
            let to = build::recipients(value);
            alerting.add_channel("email", EmailOptions::default);
            change(alerting, |mail| mail.to = to)
        }),
        Variable::new("ALERT_FROM_EMAIL", |alerting, value| {
            change(alerting, |mail| value.clone_into(&mut mail.from))
        }),
        Variable::new("SMTP_HOST", |alerting, value| {
            change(alerting, |mail| value.clone_into(&mut mail.host))
        }),
        Variable::new("SMTP_PORT", |alerting, value| {
            let port = value.parse().map_err(|_| "a port, for example `587`")?;
            change(alerting, |mail| mail.port = port)
        }),
        Variable::new("SMTP_USER", |alerting, value| {
            change(alerting, |mail| mail.username = Some(value.to_owned()))
        }),
        Variable::secret("SMTP_PASS", |alerting, value| {
            change(alerting, |mail| mail.password = Some(Secret::new(value)))
        }),
    ];
    const HAS_LINKS: bool = true;

    fn missing(&self) -> Option<&'static str> {
        let required = [
            (self.host.is_empty(), "SMTP_HOST"),
            (self.from.is_empty(), "ALERT_FROM_EMAIL"),
            (self.to.is_empty(), "ALERT_TO_EMAILS"),
        ];
        let missing = required.iter().find(|(is_missing, _)| *is_missing);
        missing.map(|(_, variable)| *variable)
    }

    fn receivers(&self, context: &ChannelContext<'_>) -> Result<Built, RoutingError> {
        let mut options = self.clone();
        options.template_files = self.template_files.or_default(context.template_files);
        options.build(context.name).map(Built::Notifiers)
    }
}

/// Changes the options of the channel `email`, if the configuration has one.
#[expect(clippy::unnecessary_wraps, reason = "the signature of every setter")]
fn change(
    alerting: &mut AlertingConfig,
    change: impl FnOnce(&mut EmailOptions),
) -> Result<(), Invalid> {
    if let Some(channel) = alerting.channels.get_mut("email")
        && let ChannelKind::Email(options) = &mut channel.kind
    {
        change(options);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
