//! Options of alerting: rules, channels, routes, and the directory of its state.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

#[cfg(feature = "email")]
use super::EmailOptions;
use super::{
    AlertRule, AlertmanagerOptions, ChannelKind, ConsoleOptions, HttpOptions, PagerDutyOptions,
    Routing, RuleGroup, SlackOptions, WebhookOptions, channel, trace_link::TRACE_ID,
};
use crate::{
    net::{check_url, without_secrets},
    privacy::Secret,
    settings::{
        ConfigError, MIN_INTERVAL, Variable, boolean, check, comma_separated, duration, set,
    },
};

/// Which rules there are, who is told, where state is kept.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AlertingConfig {
    /// Whether rules are evaluated. Default: true.
    pub enabled: bool,
    /// Time between two evaluations of a group of rules that names none. Default: 10 s.
    pub evaluation_interval: Duration,
    /// Whether the default rules are there, with those of the preset. Default: true.
    pub default_rules: bool,
    /// Rules of the application's own that are there from the beginning: what fired by them before a restart fires on.
    /// Default: none.
    pub rules: Vec<AlertRule>,
    /// Groups of alerting and recording rules. Default: none.
    pub rule_groups: Vec<RuleGroup>,
    /// Files of rules in Prometheus's format. Default: none.
    pub rule_files: Vec<PathBuf>,
    /// Who can be told, by name. Default: `console`.
    pub channels: BTreeMap<String, ChannelConfig>,
    /// Where alerts go, in Alertmanager's terms. Default: none, which tells the channels of each rule, or all of them.
    pub routing: Option<Routing>,
    /// Time between two messages about one group. Default: 5 min.
    pub aggregation_window: Duration,
    /// Time after which an alert that escalates, and that nobody has acknowledged, goes on. Default: 15 min.
    pub escalation_delay: Duration,
    /// Where state is kept over a restart; `None` for memory only. Default: none; in the presets production, vps and
    /// enterprise `./observatory-data`.
    pub data_dir: Option<PathBuf>,
    /// Alerts that the history remembers. Default: 10,000.
    pub max_history: usize,
    /// Where a browser finds the observatory, for links in messages. Default: none, the address of the server; where
    /// only this machine can reach that, messages have no link to it.
    pub external_url: Option<String>,
    /// Where a browser finds a trace, with `{trace_id}` where its id goes: `http://jaeger:16686/trace/{trace_id}`. Alerts
    /// that events raise inside a sampled span link to theirs; alerts of rules to the one behind them that tells most, by
    /// the exemplars of the series that the rule looks at; the page of live traces to each. Default: none, which names the
    /// id and has no link.
    pub trace_url: Option<String>,
    /// How Slack, `PagerDuty`, webhooks and Alertmanagers are connected to: an authority of one's own, times. Default:
    /// the platform's authorities, 5 s for a connection, 10 s for all.
    pub http: HttpOptions,
    /// What a request that changes something must show. Without one, such requests are taken on a loopback address
    /// only. Default: none.
    pub api_token: Option<Secret>,
}

/// A channel: its kind, and the notifications that it receives.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelConfig {
    /// The kind of the channel, with its options.
    pub kind: ChannelKind,
    /// Whether the channel receives notifications. Default: true.
    pub enabled: bool,
    /// Whether the channel is notified that alerts are resolved. Default: true.
    pub send_resolved: bool,
    /// The channel that receives the notifications which this channel could not deliver. Default: none.
    pub fallback: Option<String>,
}

impl Default for AlertingConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            evaluation_interval: Duration::from_secs(10),
            default_rules: true,
            rules: Vec::new(),
            rule_groups: Vec::new(),
            rule_files: Vec::new(),
            channels: BTreeMap::from([("console".to_owned(), ChannelConfig::console())]),
            routing: None,
            aggregation_window: Duration::from_mins(5),
            escalation_delay: Duration::from_mins(15),
            data_dir: None,
            max_history: 10_000,
            external_url: None,
            trace_url: None,
            http: HttpOptions::default(),
            api_token: None,
        }
    }
}

impl AlertingConfig {
    /// Adds a channel, or replaces the channel of this name.
    pub(crate) fn set_channel(&mut self, name: &str, kind: impl Into<ChannelKind>) {
        let channel = ChannelConfig::new(kind.into());
        self.channels.insert(name.to_owned(), channel);
    }

    /// Adds a channel unless there is one of this name.
    #[cfg(feature = "email")]
    pub(crate) fn add_channel<K: Into<ChannelKind>>(
        &mut self,
        name: &str,
        kind: impl FnOnce() -> K,
    ) {
        let channel = || ChannelConfig::new(kind().into());
        self.channels.entry(name.to_owned()).or_insert_with(channel);
    }

    /// The environment variables of alerting and of its channels.
    pub(crate) fn variables() -> impl Iterator<Item = &'static Variable<Self>> {
        VARIABLES.iter().chain(channel::variables())
    }

    /// Checks every value.
    ///
    /// # Errors
    ///
    /// Returns the first invalid value, with its key.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        for (key, value, least) in [
            (
                "alerting.evaluation_interval",
                &self.evaluation_interval,
                MIN_INTERVAL,
            ),
            (
                "alerting.aggregation_window",
                &self.aggregation_window,
                Duration::from_secs(1),
            ),
            (
                "alerting.escalation_delay",
                &self.escalation_delay,
                Duration::from_secs(1),
            ),
        ] {
            let expected = if least == MIN_INTERVAL {
                "a duration of at least 100ms"
            } else {
                "a duration of at least 1s"
            };
            check(*value >= least, key, value, expected)?;
        }
        check(
            self.max_history > 0,
            "alerting.storage.max_history",
            &self.max_history,
            "a whole number above 0",
        )?;
        check(
            !self.http.connect_timeout.is_zero(),
            "alerting.http.connect_timeout",
            &self.http.connect_timeout,
            "a duration above 0s",
        )?;
        // An attempt has 30 s, of which up to 10 s go to waiting for a turn.
        check(
            (Duration::from_millis(1)..=Duration::from_secs(20)).contains(&self.http.timeout),
            "alerting.http.timeout",
            &self.http.timeout,
            "a duration above 0s and at most 20s",
        )?;
        let is_token = |token: &Secret| !token.expose().is_empty();
        check(
            self.api_token.as_ref().is_none_or(is_token),
            "alerting.api_token",
            &"empty",
            "a token, or none at all",
        )?;
        if let Some(template) = &self.trace_url {
            let key = "alerting.trace_url";
            let right = "a URL without user and password that contains `{trace_id}`, for example `http://jaeger:16686/trace/{trace_id}`";
            check_url(key, template, right)?;
            let is_complete = template.contains(TRACE_ID);
            check(is_complete, key, &without_secrets(template), right)?;
        }
        for (name, channel) in &self.channels {
            let is_known = |fallback: &String| self.channels.contains_key(fallback);
            check(
                channel.fallback.as_ref().is_none_or(is_known),
                &format!("alerting.channels.{name}.fallback"),
                &channel.fallback,
                "the name of another channel",
            )?;
        }
        Ok(())
    }
}

impl ChannelConfig {
    /// A channel of this kind.
    #[must_use]
    pub const fn new(kind: ChannelKind) -> Self {
        Self {
            kind,
            enabled: true,
            send_resolved: true,
            fallback: None,
        }
    }

    /// Lines on standard error.
    #[must_use]
    pub const fn console() -> Self {
        Self::new(ChannelKind::Console(ConsoleOptions::new()))
    }

    /// An incoming webhook of Slack.
    #[must_use]
    pub const fn slack(options: SlackOptions) -> Self {
        Self::new(ChannelKind::Slack(options))
    }

    /// `PagerDuty`'s Events API v2.
    #[must_use]
    pub const fn pagerduty(options: PagerDutyOptions) -> Self {
        Self::new(ChannelKind::PagerDuty(options))
    }

    /// E-mail.
    #[cfg(feature = "email")]
    #[must_use]
    pub const fn email(options: EmailOptions) -> Self {
        Self::new(ChannelKind::Email(options))
    }

    /// A webhook.
    #[must_use]
    pub const fn webhook(options: WebhookOptions) -> Self {
        Self::new(ChannelKind::Webhook(options))
    }

    /// Alertmanagers at these base URLs.
    #[must_use]
    pub fn alertmanagers<S: Into<std::sync::Arc<str>>>(urls: impl IntoIterator<Item = S>) -> Self {
        Self::new(ChannelKind::Alertmanager(AlertmanagerOptions::new(urls)))
    }

    /// Sets whether it is told anything.
    #[must_use]
    pub const fn with_enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Sets whether it is told that alerts are over.
    #[must_use]
    pub const fn with_send_resolved(mut self, send: bool) -> Self {
        self.send_resolved = send;
        self
    }

    /// Names the channel that is told what this one could not deliver.
    #[must_use]
    pub fn with_fallback(mut self, channel: impl Into<String>) -> Self {
        self.fallback = Some(channel.into());
        self
    }
}

const VARIABLES: &[Variable<AlertingConfig>] = &[
    Variable::new("ALERTING_ENABLED", |alerting, value| {
        set(&mut alerting.enabled, boolean(value))
    }),
    #[cfg(not(feature = "email"))]
    Variable::new("ALERT_TO_EMAILS", |_, _| {
        Err("unset, or the feature `email` added")
    }),
    Variable::new("OBSERVATORY_RULES", |alerting, value| {
        let paths = comma_separated(value).map(PathBuf::from);
        alerting.rule_files.extend(paths);
        Ok(())
    }),
    Variable::new("OBSERVATORY_DATA_DIR", |alerting, value| {
        set(&mut alerting.data_dir, Ok(Some(value.into())))
    }),
    Variable::new("OBSERVATORY_EXTERNAL_URL", |alerting, value| {
        set(&mut alerting.external_url, Ok(Some(value.to_owned())))
    }),
    Variable::new("OBSERVATORY_TRACE_URL", |alerting, value| {
        set(&mut alerting.trace_url, Ok(Some(value.to_owned())))
    }),
    Variable::new("OBSERVATORY_AGGREGATION_WINDOW", |alerting, value| {
        set(&mut alerting.aggregation_window, duration(value))
    }),
    Variable::secret("OBSERVATORY_TOKEN", |alerting, value| {
        set(&mut alerting.api_token, Ok(Some(Secret::new(value))))
    }),
    Variable::new("OBSERVATORY_EVALUATION_INTERVAL", |alerting, value| {
        set(&mut alerting.evaluation_interval, duration(value))
    }),
];
