//! Exports the routing as an Alertmanager configuration file.
//!
//! Alertmanager supports neither escalation nor fallback channels: a receiver is exported with its first channels, and
//! a comment at the top of the file lists the omitted parts. Channels without a counterpart in Alertmanager are
//! omitted, too.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{GroupBy, NamedInterval, Route, Routing, matchers, parse_matchers, units};

/// The form of a channel in Alertmanager's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportedChannel {
    /// `webhook_configs`, one per URL. The file contains the URLs in clear text; replace a URL that holds a secret by a
    /// placeholder before the export.
    Webhook {
        /// URLs of the webhook.
        urls: Vec<String>,
        /// True if the webhook is notified that alerts are resolved.
        send_resolved: bool,
        /// Maximum number of alerts in a notification; 0 for no limit.
        max_alerts: usize,
    },
    /// The channel has no counterpart in Alertmanager.
    LeftOut,
}

#[derive(Serialize)]
struct ExportedConfig<'r> {
    route: ExportedRoute<'r>,
    receivers: Vec<ExportedReceiver<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inhibit_rules: Vec<ExportedInhibition<'r>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    time_intervals: &'r [NamedInterval],
}

#[derive(Serialize)]
struct ExportedRoute<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    receiver: Option<&'r str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    matchers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_by: Option<Vec<&'r str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_wait: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_interval: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeat_interval: Option<String>,
    #[serde(rename = "continue", skip_serializing_if = "std::ops::Not::not")]
    continue_matching: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    mute_time_intervals: &'r [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    active_time_intervals: &'r [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<ExportedRoute<'r>>,
}

#[derive(Serialize)]
struct ExportedReceiver<'r> {
    name: &'r str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    webhook_configs: Vec<ExportedWebhook<'r>>,
}

#[derive(Serialize)]
struct ExportedWebhook<'r> {
    url: &'r str,
    send_resolved: bool,
    max_alerts: usize,
}

#[derive(Serialize)]
struct ExportedInhibition<'r> {
    source_matchers: Vec<String>,
    target_matchers: Vec<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    equal: &'r [String],
}

impl Routing {
    /// Writes the configuration as YAML that `amtool check-config` accepts.
    ///
    /// # Errors
    /// When the YAML cannot be serialized, which does not happen for a configuration that
    /// [`Router::new`](super::Router::new) accepts.
    pub fn to_alertmanager_yaml(
        &self,
        channels: &BTreeMap<String, ExportedChannel>,
    ) -> Result<String, serde_saphyr::ser::Error> {
        let file = ExportedConfig {
            route: route(&self.route),
            receivers: self
                .receivers
                .iter()
                .map(|receiver| ExportedReceiver {
                    name: &receiver.name,
                    webhook_configs: webhooks(&receiver.channels, channels),
                })
                .collect(),
            inhibit_rules: self
                .inhibit_rules
                .iter()
                .map(|rule| ExportedInhibition {
                    source_matchers: quoted_matchers(&rule.source_matchers),
                    target_matchers: quoted_matchers(&rule.target_matchers),
                    equal: &rule.equal,
                })
                .collect(),
            time_intervals: &self.time_intervals,
        };
        let mut text = self.omissions(channels);
        text.push_str(&serde_saphyr::to_string(&file)?);
        Ok(text)
    }

    fn omissions(&self, channels: &BTreeMap<String, ExportedChannel>) -> String {
        let mut lines = vec!["# Written by llm-observatory.\n".to_owned()];
        for receiver in &self.receivers {
            let name = &receiver.name;
            if receiver.escalation.is_some() {
                lines.push(format!(
                    "# Left out: the escalation of receiver {name:?}.\n"
                ));
            }
            for channel in &receiver.channels {
                if !matches!(channels.get(channel), Some(ExportedChannel::Webhook { .. })) {
                    lines.push(format!(
                        "# Left out: channel {channel:?} of receiver {name:?}.\n"
                    ));
                }
            }
        }
        lines.concat()
    }
}

fn webhooks<'r>(
    names: &[String],
    channels: &'r BTreeMap<String, ExportedChannel>,
) -> Vec<ExportedWebhook<'r>> {
    let mut webhooks = Vec::new();
    for channel in names.iter().filter_map(|name| channels.get(name)) {
        match channel {
            ExportedChannel::Webhook {
                urls,
                send_resolved,
                max_alerts,
            } => webhooks.extend(urls.iter().map(|url| ExportedWebhook {
                url,
                send_resolved: *send_resolved,
                max_alerts: *max_alerts,
            })),
            ExportedChannel::LeftOut => {}
        }
    }
    webhooks
}

fn route(spec: &Route) -> ExportedRoute<'_> {
    ExportedRoute {
        receiver: spec.receiver.as_deref(),
        matchers: quoted_matchers(&spec.matchers),
        group_by: spec.group_by.as_ref().map(|group_by| match group_by {
            GroupBy::All => vec!["..."],
            GroupBy::Labels(labels) => labels.iter().map(String::as_str).collect(),
        }),
        group_wait: spec.group_wait.map(units::to_text),
        group_interval: spec.group_interval.map(units::to_text),
        repeat_interval: spec.repeat_interval.map(units::to_text),
        continue_matching: spec.continue_matching,
        mute_time_intervals: &spec.mute_time_intervals,
        active_time_intervals: &spec.active_time_intervals,
        routes: spec.routes.iter().map(route).collect(),
    }
}

/// Formats matchers separately and quoted, which every version of Alertmanager parses.
fn quoted_matchers(texts: &[String]) -> Vec<String> {
    texts
        .iter()
        .flat_map(|text| match parse_matchers(text) {
            Ok(matchers) => matchers.iter().map(matchers::to_text).collect(),
            // An invalid text is exported unchanged, so that Alertmanager's check reports it.
            Err(_) => vec![text.clone()],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerting::{IntervalSpec, Receiver};

    #[test]
    fn omitted_channels_are_listed_at_the_top_of_the_file() {
        let routing = Routing::to_receiver(Receiver::new("all", ["hook", "console"]))
            .with_time_interval(NamedInterval::new("always", vec![IntervalSpec::default()]));
        let hook = ExportedChannel::Webhook {
            urls: vec!["http://127.0.0.1:1/".to_owned()],
            send_resolved: true,
            max_alerts: 0,
        };
        let channels = BTreeMap::from([("hook".to_owned(), hook)]);
        let text = routing.to_alertmanager_yaml(&channels).unwrap();
        assert!(
            text.contains("# Left out: channel \"console\" of receiver \"all\"."),
            "{text}"
        );
        assert!(text.contains("webhook_configs"), "{text}");
    }
}
