//! Defines the options of a `PagerDuty` channel.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::super::{TemplateFiles, webhook::check_url};
use crate::{alerting::RoutingError, privacy::Secret, settings::setters};

/// Events API v2: an integration's key has 32 characters.
const ROUTING_KEY_CHARS: usize = 32;

/// A `PagerDuty` channel: one integration of one service.
///
/// The key of a group identifies its incident. By default the key contains the name of the alert alone: two services
/// with one integration share the incident of an alert that both have. Use one integration per service, or group by a
/// label that differs between the services.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PagerDutyOptions {
    /// The key of the integration: a secret, since the key is enough to page.
    pub routing_key: Secret,
    /// The URL of the API. Default: `https://events.pagerduty.com/v2/enqueue`; the service region of the EU has
    /// `https://events.eu.pagerduty.com/v2/enqueue`.
    pub url: Secret,
    /// The name of the monitoring client in incidents, with a link to the observatory. Default: `LLM Router`.
    pub client: String,
    /// The affected system, for alerts without a label `instance`. Empty: the name of the service, for a channel of a
    /// [`Config`](crate::Config). Default: `llm-router`.
    pub source: String,
    /// The maximum number of listed alerts in one event. An event has at most 512 KB, and alerts beyond are left out.
    /// Default: 100.
    pub max_alerts: usize,
    /// Time to wait after a 429 that asks for less. Default: 2 min.
    pub rate_limit_wait: Duration,
    /// Templates for `summary` and `details`; see `docs/alert-templates.md`.
    pub templates: BTreeMap<String, String>,
    /// Files whose templates this channel's templates can call. Default: the files of the configuration.
    #[serde(skip)]
    pub template_files: TemplateFiles,
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
            template_files: TemplateFiles::default(),
        }
    }
}

impl PagerDutyOptions {
    /// Creates the default options for this integration.
    #[must_use]
    pub fn new(routing_key: impl Into<Arc<str>>) -> Self {
        Self {
            routing_key: Secret::new(routing_key),
            ..Self::default()
        }
    }

    setters! {
        /// Sets the URL of the API.
        with_url(url: impl Into<Arc<str>>) { self.url = Secret::new(url) }

        /// Sets the name of the monitoring client in incidents.
        with_client(client: impl Into<String>) { self.client = client.into() }

        /// Sets the affected system, unless a label `instance` names the system.
        with_source(source: impl Into<String>) { self.source = source.into() }

        /// Sets the maximum number of listed alerts in one event.
        with_max_alerts(max_alerts: usize) { self.max_alerts = max_alerts }

        /// Sets the time to wait after a 429.
        with_rate_limit_wait(wait: Duration) { self.rate_limit_wait = wait }

        /// Sets the files whose templates this channel's templates can call.
        with_template_files(files: TemplateFiles) { self.template_files = files }

        /// Replaces a text by a template.
        with_template(text: impl Into<String>, source: impl Into<String>) {
            self.templates.insert(text.into(), source.into())
        }
    }

    pub(super) fn check(&self, name: &str) -> Result<(), RoutingError> {
        let error = |key, problem: String| Err(RoutingError::channel(name, key, problem));
        let key = self.routing_key.expose();
        let length = key.chars().count();
        if length != ROUTING_KEY_CHARS || !key.chars().all(|c| c.is_ascii_alphanumeric()) {
            // The error shows the length, not the key: the key of an older API has another length.
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
