//! Posts to a Slack incoming webhook, at the pace that Slack takes.

mod compose;
mod options;

use std::{fmt, sync::Arc};

pub use self::options::SlackOptions;
use super::{
    Built, ChannelContext, ChannelSpec, FailureClass, HttpClient, Message, Notifier, NotifyError,
    NotifyFuture, Receipt,
    http::{Answer, Post},
    pace::Pace,
    template::{Blank, Escape, Slot, Templates},
};
use crate::{
    alerting::{AlertingConfig, RoutingError},
    settings::Variable,
};

/// The texts that a template can give.
const SLOTS: [Slot; 3] = [
    Slot {
        name: "title",
        escape: Escape::Slack,
        blank: Blank::Refused,
    },
    Slot {
        name: "text",
        escape: Escape::Slack,
        blank: Blank::Allowed,
    },
    Slot {
        name: "fallback",
        escape: Escape::Slack,
        blank: Blank::Refused,
    },
];

/// One incoming webhook.
struct Slack {
    options: SlackOptions,
    templates: Templates,
    pace: Arc<Pace>,
    client: HttpClient,
}

impl Notifier for Slack {
    fn notify<'a>(&'a self, message: &'a Message) -> NotifyFuture<'a> {
        Box::pin(async move {
            let rendered = self.templates.render(message);
            let body = compose::body(message, &self.options, &rendered);
            let body = serde_json::to_vec(&body).map_err(|error| {
                let text = format!("cannot write the body: {error}");
                NotifyError::new(FailureClass::Other, text)
            })?;
            self.pace.wait().await.map_err(|wait| {
                let text = format!("the webhook's next turn is in {wait:.1?}");
                let error = NotifyError::new(FailureClass::RateLimited, text);
                error.retryable().after(Some(wait))
            })?;
            let post = Post::new(&self.options.url, body);
            judge(&self.client.ask(post).await?)
        })
    }
}

/// Slack says `ok`; a proxy or a login page that answers 200 does not.
fn judge(answer: &Answer) -> Result<Receipt, NotifyError> {
    let receipt = answer.judge()?;
    if answer.first_line == "ok" {
        return Ok(receipt);
    }
    let text = format!("{}, where Slack says `ok`", answer.text());
    Err(NotifyError::new(FailureClass::ClientError, text))
}

impl fmt::Debug for Slack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slack")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl SlackOptions {
    /// The notifier of the channel with this name. Channels on one webhook share its pace where they share the client.
    ///
    /// # Errors
    /// When the URL is none, the interval is too long, the icon is neither an emoji nor a URL, or a template does not
    /// parse. The error does not show the URL.
    pub fn build(
        &self,
        name: &str,
        client: &HttpClient,
    ) -> Result<Vec<Arc<dyn Notifier>>, RoutingError> {
        self.check(name)?;
        let slack = Slack {
            templates: Templates::new(name, &SLOTS, &self.templates)?,
            pace: client.pace(&self.url, self.min_interval),
            options: self.clone(),
            client: client.clone(),
        };
        Ok(vec![Arc::new(slack)])
    }
}

impl ChannelSpec for SlackOptions {
    const VARIABLES: &[Variable<AlertingConfig>] =
        &[Variable::secret("SLACK_WEBHOOK_URL", |alerting, value| {
            alerting.set_channel("slack", SlackOptions::new(value));
            Ok(())
        })];
    const HAS_LINKS: bool = true;

    fn missing(&self) -> Option<&'static str> {
        self.url.expose().is_empty().then_some("SLACK_WEBHOOK_URL")
    }

    fn receivers(&self, context: &ChannelContext<'_>) -> Result<Built, RoutingError> {
        self.build(context.name, context.client)
            .map(Built::Notifiers)
    }
}

#[cfg(test)]
mod tests;
