//! Posts to an incoming webhook of Slack, within Slack's rate limit.

mod compose;
mod options;

use std::sync::Arc;

pub use self::options::SlackOptions;
use super::{
    Built, ChannelContext, ChannelSpec, FailureClass, Message, Notifier, NotifyError, NotifyFuture,
    Receipt,
    http::{Answer, Post, prepare},
    template::{Escape, Slot, Templates},
};
use crate::{
    alerting::{AlertingConfig, RoutingError},
    net::{OutgoingClient, Pace},
    settings::Variable,
};

/// The texts that a template can replace.
const SLOTS: [Slot; 3] = [
    Slot::new("title", Escape::Slack),
    Slot::new("text", Escape::Slack).or_blank(),
    Slot::new("fallback", Escape::Slack),
];

/// One incoming webhook.
#[derive(Debug)]
struct Slack {
    options: SlackOptions,
    templates: Templates,
    pace: Arc<Pace>,
    client: OutgoingClient,
}

impl Notifier for Slack {
    fn notify<'a>(&'a self, message: &'a Message) -> NotifyFuture<'a> {
        Box::pin(async move {
            let rendered = self.templates.render(message);
            let body = compose::body(message, &self.options, &rendered);
            let body = serde_json::to_vec(&body).map_err(NotifyError::unwritten("body"))?;
            self.pace.wait().await.map_err(|wait| {
                let text = format!("the webhook's next turn is in {wait:.1?}");
                let error = NotifyError::new(FailureClass::RateLimited, text);
                error.retryable().after(Some(wait))
            })?;
            let post = Post::new(&self.options.url, body);
            check_answer(&post.send(&self.client).await?)
        })
    }
}

/// Checks that the answer is Slack's `ok`: a proxy or a login page answers 200 with another body.
fn check_answer(answer: &Answer) -> Result<Receipt, NotifyError> {
    let receipt = answer.classify()?;
    if answer.first_line == "ok" {
        return Ok(receipt);
    }
    let text = format!("{}, but Slack answers `ok`", answer.text());
    Err(NotifyError::new(FailureClass::ClientError, text))
}

impl SlackOptions {
    /// Builds the notifier of the channel with this name. Channels with one webhook and one client share the rate limit.
    ///
    /// # Errors
    /// If the URL or a template does not parse, the interval is too long, or the icon is neither an emoji nor a URL. The
    /// error does not show the URL.
    pub fn build(
        &self,
        name: &str,
        client: &OutgoingClient,
    ) -> Result<Vec<Arc<dyn Notifier>>, RoutingError> {
        self.check(name)?;
        prepare(client, &self.url);
        let slack = Slack {
            templates: Templates::new(name, &SLOTS, &self.templates, &self.template_files)?,
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
        let mut options = self.clone();
        options.template_files = self.template_files.or_default(context.template_files);
        options
            .build(context.name, context.client)
            .map(Built::Notifiers)
    }
}

#[cfg(test)]
mod tests;
