//! Sends events to `PagerDuty`'s Events API v2: one key opens, acknowledges and closes the incident of a group.

mod compose;
mod options;

use std::sync::Arc;

pub use self::options::PagerDutyOptions;
use super::{
    Built, ChannelContext, ChannelSpec, FailureClass, Message, Notifier, NotifyError, NotifyFuture,
    http::{Post, prepare},
    template::{Escape, Slot, Templates},
};
use crate::{
    alerting::{AlertingConfig, ChannelTraits, RoutingError},
    net::OutgoingClient,
    settings::Variable,
};

/// The texts that a template can replace.
const SLOTS: [Slot; 2] = [
    Slot::new("summary", Escape::Plain),
    Slot::new("details", Escape::Plain),
];

/// The notifier of one integration.
#[derive(Debug)]
struct PagerDuty {
    options: PagerDutyOptions,
    templates: Templates,
    client: OutgoingClient,
}

impl Notifier for PagerDuty {
    fn notify<'a>(&'a self, message: &'a Message) -> NotifyFuture<'a> {
        Box::pin(async move {
            let rendered = self.templates.render(message);
            let body = compose::body(message, &self.options, &rendered)
                .map_err(NotifyError::unwritten("event"))?;
            let post = Post::new(&self.options.url, body).hiding(&self.options.routing_key);
            let sent = post.deliver(&self.client).await;
            sent.map_err(|error| self.with_rate_limit_wait(error))
        })
    }

    fn opens_incidents(&self) -> bool {
        true
    }
}

impl PagerDuty {
    /// Sets the wait after a 429: the limit counts events per minute, and early retries would keep it reached.
    fn with_rate_limit_wait(&self, mut error: NotifyError) -> NotifyError {
        if error.class == FailureClass::RateLimited {
            let own = self.options.rate_limit_wait;
            error.retry_after = Some(error.retry_after.map_or(own, |asked| asked.max(own)));
        }
        error
    }
}

impl PagerDutyOptions {
    /// Builds the notifier of the channel with this name.
    ///
    /// The channel should receive acknowledgements:
    /// [`ChannelTraits::send_acknowledged`](crate::alerting::ChannelTraits::send_acknowledged).
    ///
    /// # Errors
    /// If the routing key, the URL or a template is invalid. The error does not show the key.
    pub fn build(
        &self,
        name: &str,
        client: &OutgoingClient,
    ) -> Result<Vec<Arc<dyn Notifier>>, RoutingError> {
        self.check(name)?;
        prepare(client, &self.url);
        let pagerduty = PagerDuty {
            templates: Templates::new(name, &SLOTS, &self.templates, &self.template_files)?,
            options: self.clone(),
            client: client.clone(),
        };
        Ok(vec![Arc::new(pagerduty)])
    }
}

impl ChannelSpec for PagerDutyOptions {
    const VARIABLES: &[Variable<AlertingConfig>] = &[Variable::secret(
        "PAGERDUTY_ROUTING_KEY",
        |alerting, value| {
            let options = PagerDutyOptions::new(value).with_source("");
            alerting.set_channel("pagerduty", options);
            Ok(())
        },
    )];
    const HAS_LINKS: bool = true;

    fn missing(&self) -> Option<&'static str> {
        let is_empty = self.routing_key.expose().is_empty();
        is_empty.then_some("PAGERDUTY_ROUTING_KEY")
    }

    fn receivers(&self, context: &ChannelContext<'_>) -> Result<Built, RoutingError> {
        let mut options = self.clone();
        options.template_files = self.template_files.or_default(context.template_files);
        if options.source.is_empty() {
            context.service.clone_into(&mut options.source);
        }
        options
            .build(context.name, context.client)
            .map(Built::Notifiers)
    }

    /// Acknowledges the incident in `PagerDuty`, too.
    fn traits(&self, traits: ChannelTraits) -> ChannelTraits {
        traits.with_acknowledgements()
    }
}

#[cfg(test)]
mod tests;
