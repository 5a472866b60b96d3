//! What a `PagerDuty` channel can be told.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::super::webhook::check_url;
use crate::{alerting::RoutingError, privacy::Secret};

/// Events API v2: an integration's key has 32 characters.
const ROUTING_KEY_CHARS: usize = 32;

/// A `PagerDuty` channel: one integration of one service.
///
/// An incident is told by its group's key, which by default is made of the alert's name alone: two services that page
/// through one integration share the incident of an alert that both have. Give each one of its own, or group by a label
/// that tells them apart.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PagerDutyOptions {
    /// The integration's key: whoever knows it can page.
    pub routing_key: Secret,
    /// Where events go. Default: `https://events.pagerduty.com/v2/enqueue`; the service region of the EU has
    /// `https://events.eu.pagerduty.com/v2/enqueue`.
    pub url: Secret,
    /// What incidents say they come from, with a link to the observatory. Default: `LLM Router`.
    pub client: String,
    /// The affected system, for alerts without a label `instance`. Empty: the name of the service, for a channel of a
    /// [`Config`](crate::Config). Default: `llm-router`.
    pub source: String,
    /// Alerts that are listed in one event at most; those that do not fit into 512 KB are left out too. Default: 100.
    pub max_alerts: usize,
    /// Time to wait after a 429, if that does not ask for more. Default: 2 min.
    pub rate_limit_wait: Duration,
    /// Templates for `summary` and `details`; see `docs/alert-templates.md`.
    pub templates: BTreeMap<String, String>,
}

impl Default for PagerDutyOptions {
    fn default() -> Self {
        Self {
            routing_key: Secret::new(""),
            url: Secret::new("https://events.pagerduty.com/v2/enqueue"),
            client: "LLM Router".to_owned(),
            source: "llm-router".to_owned(),
            max_alerts: 100,
            rate_limit_wait: Duration::from_mins(2),
            templates: BTreeMap::new(),
        }
    }
}

impl PagerDutyOptions {
    /// The defaults, for this integration.
    #[must_use]
    pub fn new(routing_key: impl Into<Arc<str>>) -> Self {
        Self {
            routing_key: Secret::new(routing_key),
            ..Self::default()
        }
    }

    /// Sets where events go.
    #[must_use]
    pub fn with_url(mut self, url: impl Into<Arc<str>>) -> Self {
        self.url = Secret::new(url);
        self
    }

    /// Sets what incidents say they come from.
    #[must_use]
    pub fn with_client(mut self, client: impl Into<String>) -> Self {
        self.client = client.into();
        self
    }

    /// Sets the system that is affected, where no label `instance` names it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<String>) -> Self {
        self.source = source.into();
        self
    }

    /// Lists at most so many alerts in one event.
    #[must_use]
    pub fn with_max_alerts(mut self, max_alerts: usize) -> Self {
        self.max_alerts = max_alerts;
        self
    }

    /// Sets the time to wait after a 429.
    #[must_use]
    pub fn with_rate_limit_wait(mut self, wait: Duration) -> Self {
        self.rate_limit_wait = wait;
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
        let key = self.routing_key.expose();
        let length = key.chars().count();
        if length != ROUTING_KEY_CHARS || !key.chars().all(|c| c.is_ascii_alphanumeric()) {
            // The key itself must not be shown; that of an older API, say, has another length.
            let problem = format!(
                "has {length} characters, but must be the {ROUTING_KEY_CHARS} letters and digits of an \
                 Events API v2 integration"
            );
            return error("routing_key", problem);
        }
        if let Err(problem) = check_url(&self.url) {
            return error("url", problem);
        }
        if self.source.trim().is_empty() {
            return error("source", "must not be empty".to_owned());
        }
        Ok(())
    }
}
