//! Defines the options of a Slack channel.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::super::{TemplateFiles, webhook::check_url};
use crate::{alerting::RoutingError, privacy::Secret, settings::setters};

/// A longer wait leaves no time for the message itself.
const MAX_INTERVAL: Duration = Duration::from_secs(10);

/// A Slack channel: one incoming webhook.
///
/// Slack's newer webhooks belong to one channel and one app, and ignore `channel`, `username` and `icon`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SlackOptions {
    /// The URL of the webhook: a secret, since the URL is enough to post.
    pub url: Secret,
    /// The channel in Slack; empty for the webhook's own channel. Default: `#alerts`.
    pub channel: String,
    /// The name of the sender; empty for the webhook's own name. Default: `LLM Router`.
    pub username: String,
    /// An emoji such as `:rotating_light:`, or the URL of a picture. Default: the webhook's own.
    pub icon: Option<String>,
    /// The maximum number of listed alerts in one message. Default: 10.
    pub max_alerts: usize,
    /// Time between two messages through this webhook, from all channels that use it; at most 10 s. Default: 1 s,
    /// Slack's limit for a webhook.
    pub min_interval: Duration,
    /// Templates for `title`, `text` and `fallback`; see `docs/alert-templates.md`.
    pub templates: BTreeMap<String, String>,
    /// Files whose templates this channel's templates can call. Default: the files of the configuration.
    #[serde(skip)]
    pub template_files: TemplateFiles,
}

impl Default for SlackOptions {
    fn default() -> Self {
        Self {
            url: Secret::new(""),
            channel: "#alerts".to_owned(),
            username: "LLM Router".to_owned(),
            icon: None,
            max_alerts: 10,
            min_interval: Duration::from_secs(1),
            templates: BTreeMap::new(),
            template_files: TemplateFiles::default(),
        }
    }
}

impl SlackOptions {
    /// Creates the default options for this webhook.
    #[must_use]
    pub fn new(url: impl Into<Arc<str>>) -> Self {
        Self {
            url: Secret::new(url),
            ..Self::default()
        }
    }

    setters! {
        /// Sets the channel in Slack.
        with_channel(channel: impl Into<String>) { self.channel = channel.into() }

        /// Sets who it posts as.
        with_username(username: impl Into<String>) { self.username = username.into() }

        /// Sets the picture beside the name: an emoji such as `:rotating_light:`, or a URL.
        with_icon(icon: impl Into<String>) { self.icon = Some(icon.into()) }

        /// Sets the maximum number of listed alerts in one message.
        with_max_alerts(max_alerts: usize) { self.max_alerts = max_alerts }

        /// Sets the time between two messages.
        with_min_interval(interval: Duration) { self.min_interval = interval }

        /// Sets the files whose templates this channel's templates can call.
        with_template_files(files: TemplateFiles) { self.template_files = files }

        /// Replaces a text by a template.
        with_template(text: impl Into<String>, source: impl Into<String>) {
            self.templates.insert(text.into(), source.into())
        }
    }

    pub(super) fn check(&self, name: &str) -> Result<(), RoutingError> {
        let error = |key, problem: String| Err(RoutingError::channel(name, key, problem));
        if self.url.expose().is_empty() {
            return error("url", "must not be empty".to_owned());
        }
        if let Err(problem) = check_url(&self.url) {
            return error("url", problem);
        }
        if self.min_interval > MAX_INTERVAL {
            let problem = format!("is {:?}, but must be at most 10s", self.min_interval);
            return error("min_interval", problem);
        }
        match self.icon.as_deref() {
            Some(icon) if !is_emoji(icon) && !is_web(icon) => error(
                "icon",
                format!("is {icon:?}, but must be an emoji such as `:fire:`, or a URL"),
            ),
            _ => Ok(()),
        }
    }
}

pub(super) fn is_emoji(icon: &str) -> bool {
    icon.len() > 2 && icon.starts_with(':') && icon.ends_with(':')
}

fn is_web(icon: &str) -> bool {
    icon.starts_with("http://") || icon.starts_with("https://")
}
