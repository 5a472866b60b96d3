//! Posts alerts to an Alertmanager, which then does the grouping, silences and deduplication.

use std::{collections::BTreeMap, sync::Arc};

use hyper::header::HeaderMap;

use super::{
    Built, ChannelContext, ChannelSpec, Message, Notifier, NotifyError, NotifyFuture, Receipt,
    http::{Post, prepare},
    payload,
    webhook::{check_url, headers},
};
use crate::{
    alerting::{Alert, AlertingConfig, RoutingError},
    net::OutgoingClient,
    privacy::Secret,
    settings::{Variable, comma_separated},
};

/// Alertmanagers that receive the alerts. Every Alertmanager of a cluster must be listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AlertmanagerOptions {
    /// Base URLs, for example `http://alertmanager:9093`.
    pub urls: Vec<Secret>,
    /// Additional request headers, for example `authorization`. Default: none.
    pub headers: BTreeMap<String, Secret>,
}

impl AlertmanagerOptions {
    /// Alertmanagers at these base URLs, without additional headers.
    #[must_use]
    pub fn new<S: Into<Arc<str>>>(urls: impl IntoIterator<Item = S>) -> Self {
        Self {
            urls: urls.into_iter().map(Secret::new).collect(),
            headers: BTreeMap::new(),
        }
    }

    /// Adds a request header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }
}

impl ChannelSpec for AlertmanagerOptions {
    const VARIABLES: &[Variable<AlertingConfig>] = &[Variable::new(
        "OBSERVATORY_ALERTMANAGERS",
        |alerting, value| {
            let options = AlertmanagerOptions::new(comma_separated(value));
            alerting.set_channel("alertmanager", options);
            Ok(())
        },
    )];

    fn missing(&self) -> Option<&'static str> {
        self.urls.is_empty().then_some("OBSERVATORY_ALERTMANAGERS")
    }

    fn receivers(&self, context: &ChannelContext<'_>) -> Result<Built, RoutingError> {
        let peer = |(number, url)| {
            let name = format!("{}/{number}", context.name);
            AlertmanagerPeer::new(name, url, context.client.clone())?.with_headers(&self.headers)
        };
        let peers = self.urls.iter().enumerate().map(peer);
        peers.collect::<Result<_, _>>().map(Built::Alertmanagers)
    }
}

/// One Alertmanager. Each peer of a cluster must get all alerts, as from Prometheus.
#[derive(Debug)]
pub struct AlertmanagerPeer {
    name: String,
    url: Secret,
    headers: HeaderMap,
    client: OutgoingClient,
}

impl AlertmanagerPeer {
    /// Creates a peer with this base URL, such as `http://alertmanager:9093`. The name stands for the URL in errors and
    /// metrics.
    ///
    /// # Errors
    /// If the URL does not parse.
    pub fn new(
        name: impl Into<String>,
        base_url: &Secret,
        client: OutgoingClient,
    ) -> Result<Self, RoutingError> {
        let name = name.into();
        check_url(base_url)
            .map_err(|problem| RoutingError::channel(&name, "alertmanagers", problem))?;
        prepare(&client, base_url);
        let base = base_url.expose().trim_end_matches('/');
        Ok(Self {
            name,
            url: Secret::new(format!("{base}/api/v2/alerts")),
            headers: HeaderMap::new(),
            client,
        })
    }

    /// Adds headers, such as `authorization`.
    ///
    /// # Errors
    /// If a header cannot be sent.
    pub fn with_headers(mut self, pairs: &BTreeMap<String, Secret>) -> Result<Self, RoutingError> {
        self.headers = headers(pairs).map_err(|header| {
            let problem = format!("{header:?} cannot be sent");
            RoutingError::channel(&self.name, "headers", problem)
        })?;
        Ok(self)
    }

    /// The name of the peer in errors and metrics.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes one attempt.
    pub(crate) async fn post(&self, alerts: &[Arc<Alert>]) -> Result<Receipt, NotifyError> {
        let body = payload::posted(alerts).map_err(NotifyError::unwritten("body"))?;
        let post = Post::new(&self.url, body).with_headers(self.headers.clone());
        post.deliver(&self.client).await
    }
}

/// For test messages: Alertmanagers get alerts from the queue of their peer, not messages.
impl Notifier for AlertmanagerPeer {
    fn notify<'a>(&'a self, message: &'a Message) -> NotifyFuture<'a> {
        Box::pin(async move {
            let alerts = message.alerts.iter().map(|alert| Arc::clone(&alert.alert));
            let alerts: Vec<_> = alerts.collect();
            self.post(&alerts).await
        })
    }

    /// An alert fires in the Alertmanager until it is resolved.
    fn opens_incidents(&self) -> bool {
        true
    }
}
