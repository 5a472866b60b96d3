//! What a Slack channel can be told.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::super::webhook::check_url;
use crate::{alerting::RoutingError, privacy::Secret};

/// Whoever waits longer for a turn has no time left for the message.
const LONGEST_INTERVAL: Duration = Duration::from_secs(10);

/// A Slack channel: one incoming webhook.
///
/// Slack's newer webhooks belong to one channel and one app, and ignore `channel`, `username` and `icon`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlackOptions {
    /// The webhook: whoever knows it can post.
    pub url: Secret,
    /// Where it posts to; empty for the webhook's own channel. Default: `#alerts`.
    pub channel: String,
    /// Who it posts as; empty for the webhook's own name. Default: `LLM Router`.
    pub username: String,
    /// An emoji such as `:rotating_light:`, or the URL of a picture. Default: the webhook's own.
    pub icon: Option<String>,
    /// Alerts that are listed in one message at most. Default: 10.
    pub max_alerts: usize,
    /// Time between two messages through this webhook, whichever channels use it; at most 10 s. Default: 1 s, what
    /// Slack takes from a webhook.
    pub min_interval: Duration,
    /// Templates for `title`, `text` and `fallback`; see `docs/alert-templates.md`.
    pub templates: BTreeMap<String, String>,
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
        }
    }
}

impl SlackOptions {
    /// The defaults, for this webhook.
    #[must_use]
    pub fn new(url: impl Into<Arc<str>>) -> Self {
        Self {
            url: Secret::new(url),
            ..Self::default()
        }
    }

    /// Sets where it posts to.
    #[must_use]
    pub fn with_channel(mut self, channel: impl Into<String>) -> Self {
        self.channel = channel.into();
        self
    }

    /// Sets who it posts as.
    #[must_use]
    pub fn with_username(mut self, username: impl Into<String>) -> Self {
        self.username = username.into();
        self
    }

    /// Sets the picture beside the name: an emoji such as `:rotating_light:`, or a URL.
    #[must_use]
    pub fn with_icon(mut self, icon: impl Into<String>) -> Self {
        self.icon = Some(icon.into());
        self
    }

    /// Lists at most so many alerts in one message.
    #[must_use]
    pub fn with_max_alerts(mut self, max_alerts: usize) -> Self {
        self.max_alerts = max_alerts;
        self
    }

    /// Sets the time between two messages.
    #[must_use]
    pub fn with_min_interval(mut self, interval: Duration) -> Self {
        self.min_interval = interval;
        self
    }

    /// Uses a template for a text.
    #[must_use]
    pub fn with_template(mut self, text: impl Into<String>, source: impl Into<String>) -> Self {
        self.templates.insert(text.into(), source.into());
        self
    }

    pub(super) fn check(&self, name: &str) -> Result<(), RoutingError> {
        let error = |key: &'static str, problem: String| {
            Err(RoutingError::new(format!("channel {name:?}"), key, problem))
        };
        if self.url.expose().is_empty() {
            return error("url", "must not be empty".to_owned());
        }
        if let Err(problem) = check_url(&self.url) {
            return error("url", problem);
        }
        if self.min_interval > LONGEST_INTERVAL {
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
