//! Defines the options of alerting: rules, channels, routing, and the data directory.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

#[cfg(feature = "email")]
use super::EmailOptions;
use super::{
    AlertRule, AlertmanagerOptions, ChannelKind, ConsoleOptions, PagerDutyOptions, Routing,
    RuleGroup, SlackOptions, WebhookOptions, channel, trace_link::TRACE_ID,
};
use crate::{
    net::{ClientOptions, check_url, without_secrets},
    privacy::Secret,
    runtime::named,
    settings::{
        ConfigError, MIN_INTERVAL, Variable, at_least, boolean, check, check_pair, comma_separated,
        duration, set, some_text, variable, within,
    },
};

named! {
    /// Selects the groups of alerts that are notified at a shutdown although their group wait or group interval has not
    /// ended.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
    #[serde(rename_all = "lowercase")]
    #[non_exhaustive]
    pub enum FlushOnShutdown {
        /// With a data directory, the groups with an alert that the application raised, by an event or
        /// [`Alerts::trigger`](super::Alerts::trigger): the program may never start again. The groups of rules wait for
        /// the next start, since a deployment must not notify half of a group. Without a data directory, all groups,
        /// since the next start does not know them.
        #[default]
        Auto = "auto",
        /// All groups.
        All = "all",
        /// No group.
        Never = "never",
    }
}

/// Configures rules, notification channels, routing, and persistence.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AlertingConfig {
    /// True if rules are evaluated. Default: true.
    pub enabled: bool,
    /// Time between two evaluations of a rule group that sets no interval. Default: 10 s.
    pub evaluation_interval: Duration,
    /// True if the default rules, including the rules of the preset, are loaded. Default: true.
    pub default_rules: bool,
    /// Alert rules that are loaded at start-up. Their alerts that were firing before a restart keep firing. Default:
    /// none.
    #[serde(with = "super::rule::in_config::rules")]
    #[cfg_attr(
        feature = "json-schema",
        schemars(with = "Vec<BTreeMap<String, serde_json::Value>>")
    )]
    pub rules: Vec<AlertRule>,
    /// Groups of alerting and recording rules that are loaded at start-up. Default: none.
    #[serde(with = "super::rule::in_config::groups")]
    #[cfg_attr(
        feature = "json-schema",
        schemars(with = "Vec<BTreeMap<String, serde_json::Value>>")
    )]
    pub rule_groups: Vec<RuleGroup>,
    /// Rule files in Prometheus's format. Default: none.
    pub rule_files: Vec<PathBuf>,
    /// Files of templates that the templates of all channels can call, as in Alertmanager's `templates`: `*` and `?`
    /// match within one component of a path. The files are read at start. Default: none.
    pub template_files: Vec<PathBuf>,
    /// Notification channels, by name. Default: `console`.
    pub channels: BTreeMap<String, ChannelConfig>,
    /// Alertmanager's routing configuration. Default: none; the alerts of a rule go to the channels that the rule
    /// names, or to all channels.
    pub routing: Option<Routing>,
    /// Time between two notifications of one group. Default: 5 min.
    pub aggregation_window: Duration,
    /// Time after which an unacknowledged alert of a default rule is escalated. Other rules have a time of their own
    /// ([`Escalation::after`](super::Escalation::after)). Default: 15 min.
    pub escalation_delay: Duration,
    /// Directory in which alert state is kept over a restart; `None` keeps it in memory only. Default: none; in the
    /// presets production, vps and enterprise `./observatory-data`.
    pub data_dir: Option<PathBuf>,
    /// Groups of alerts that are notified at a shutdown before the end of their group wait. Default: `Auto`.
    pub flush_on_shutdown: FlushOnShutdown,
    /// Maximum number of alerts in the history. Default: 10,000.
    pub max_history: usize,
    /// Maximum time after a restart for which an alert that was firing before waits for a sample of every metric that its
    /// expression names, before the alert can resolve: an application may set a gauge only minutes after its start.
    /// Default: 5 min.
    pub restart_hold: Duration,
    /// URL at which a browser reaches the observatory, for links in notifications. Default: none, which uses the
    /// address of the server; a server on a loopback address is not linked to.
    pub external_url: Option<String>,
    /// URL template of a trace, with `{trace_id}` for its id: `http://jaeger:16686/trace/{trace_id}`. An alert raised
    /// by an event inside a sampled span links to the trace of that span. An alert of a rule links to the most
    /// significant trace among the exemplars of the series in the rule's expression. The live traces page links to each
    /// trace. Default: none; the trace id is shown without a link.
    pub trace_url: Option<String>,
    /// HTTP options of the Slack, `PagerDuty`, webhook and Alertmanager channels: certificate authorities and timeouts.
    /// Default: the platform's certificate authorities, 5 s to connect, 10 s for a whole request.
    pub http: ClientOptions,
    /// Bearer token that a state-changing request must carry. Without a token, such requests are accepted on a loopback
    /// address only. Default: none.
    pub api_token: Option<Secret>,
}

/// A channel: its kind, and the notifications that it receives.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ChannelConfig {
    /// The kind of the channel, with its options.
    pub kind: ChannelKind,
    /// True if the channel receives notifications. Default: true.
    pub enabled: bool,
    /// True if the channel is notified that alerts are resolved. Default: true.
    pub send_resolved: bool,
    /// The channel that receives the notifications which this channel could not deliver. Default: none.
    pub fallback: Option<String>,
}

impl Default for ChannelConfig {
    fn default() -> Self {
        Self::console()
    }
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
            template_files: Vec::new(),
            channels: BTreeMap::from([("console".to_owned(), ChannelConfig::console())]),
            routing: None,
            aggregation_window: Duration::from_mins(5),
            escalation_delay: Duration::from_mins(15),
            data_dir: None,
            flush_on_shutdown: FlushOnShutdown::Auto,
            max_history: 10_000,
            restart_hold: Duration::from_mins(5),
            external_url: None,
            trace_url: None,
            http: ClientOptions::default(),
            api_token: None,
        }
    }
}

impl AlertingConfig {
    /// Adds a channel, or replaces the channel with the same name.
    pub(crate) fn set_channel(&mut self, name: &str, kind: impl Into<ChannelKind>) {
        let channel = ChannelConfig::new(kind.into());
        self.channels.insert(name.to_owned(), channel);
    }

    /// Adds a channel unless a channel with the same name exists.
    #[cfg(feature = "email")]
    pub(crate) fn add_channel<K: Into<ChannelKind>>(
        &mut self,
        name: &str,
        kind: impl FnOnce() -> K,
    ) {
        let channel = || ChannelConfig::new(kind().into());
        self.channels.entry(name.to_owned()).or_insert_with(channel);
    }

    /// Returns the environment variables of alerting and of its channels.
    pub(crate) fn variables() -> impl Iterator<Item = &'static Variable<Self>> {
        VARIABLES.iter().chain(channel::variables())
    }

    /// Checks all values.
    ///
    /// # Errors
    ///
    /// Returns the first invalid value, with its key.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let Self {
            evaluation_interval,
            aggregation_window,
            escalation_delay,
            max_history,
            ..
        } = self;
        let second = Duration::from_secs(1);
        let key = "alerting.evaluation_interval";
        at_least(key, evaluation_interval, MIN_INTERVAL)?;
        at_least("alerting.aggregation_window", aggregation_window, second)?;
        at_least("alerting.escalation_delay", escalation_delay, second)?;
        at_least("alerting.max_history", max_history, 1)?;
        check(
            !self.http.connect_timeout.is_zero(),
            "alerting.http.connect_timeout",
            &self.http.connect_timeout,
            "a duration above 0s",
        )?;
        check_pair(
            "alerting.http",
            ("client_certificate", self.http.client_certificate.is_some()),
            ("client_key", self.http.client_key.is_some()),
        )?;
        // A delivery attempt is limited to 30 s, of which up to 10 s are spent waiting for a free slot.
        let (min, max) = (Duration::from_millis(1), Duration::from_secs(20));
        within("alerting.http.timeout", &self.http.timeout, min, max)?;
        let is_token = |token: &Secret| !token.expose().is_empty();
        check(
            self.api_token.as_ref().is_none_or(is_token),
            "alerting.api_token",
            &"empty",
            "a non-empty token, or no token",
        )?;
        if let Some(template) = &self.trace_url {
            let key = "alerting.trace_url";
            let expected = "a URL without user and password that contains `{trace_id}`, for example `http://jaeger:16686/trace/{trace_id}`";
            check_url(key, template, expected)?;
            let is_complete = template.contains(TRACE_ID);
            check(is_complete, key, &without_secrets(template), expected)?;
        }
        if let Some(url) = &self.external_url {
            let key = "alerting.external_url";
            let expected =
                "a URL without user and password, for example `https://observatory.example`";
            check_url(key, url, expected)?;
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
    /// Creates an enabled channel of the given kind, which is also notified of resolved alerts.
    #[must_use]
    pub const fn new(kind: ChannelKind) -> Self {
        Self {
            kind,
            enabled: true,
            send_resolved: true,
            fallback: None,
        }
    }

    /// Creates a channel that writes lines to standard error.
    #[must_use]
    pub const fn console() -> Self {
        Self::new(ChannelKind::Console(ConsoleOptions::new()))
    }

    /// Creates a channel for a Slack incoming webhook.
    #[must_use]
    pub const fn slack(options: SlackOptions) -> Self {
        Self::new(ChannelKind::Slack(options))
    }

    /// Creates a channel for `PagerDuty`'s Events API v2.
    #[must_use]
    pub const fn pagerduty(options: PagerDutyOptions) -> Self {
        Self::new(ChannelKind::PagerDuty(options))
    }

    /// Creates an e-mail channel.
    #[cfg(feature = "email")]
    #[must_use]
    pub const fn email(options: EmailOptions) -> Self {
        Self::new(ChannelKind::Email(options))
    }

    /// Creates a webhook channel.
    #[must_use]
    pub const fn webhook(options: WebhookOptions) -> Self {
        Self::new(ChannelKind::Webhook(options))
    }

    /// Creates a channel for the Alertmanagers at the given base URLs.
    #[must_use]
    pub fn alertmanagers<S: Into<std::sync::Arc<str>>>(urls: impl IntoIterator<Item = S>) -> Self {
        Self::new(ChannelKind::Alertmanager(AlertmanagerOptions::new(urls)))
    }

    /// Sets whether the channel receives notifications.
    #[must_use]
    pub const fn with_enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Sets whether the channel is notified that alerts are resolved.
    #[must_use]
    pub const fn with_send_resolved(mut self, send: bool) -> Self {
        self.send_resolved = send;
        self
    }

    /// Sets the channel that receives the notifications which this channel could not deliver.
    #[must_use]
    pub fn with_fallback(mut self, channel: impl Into<String>) -> Self {
        self.fallback = Some(channel.into());
        self
    }
}

const VARIABLES: &[Variable<AlertingConfig>] = &[
    variable!("ALERTING_ENABLED" => enabled, boolean),
    #[cfg(not(feature = "email"))]
    Variable::new("ALERT_TO_EMAILS", |_, _| {
        Err("unset, or the feature `email` added")
    }),
    Variable::new("OBSERVATORY_RULES", |alerting, value| {
        let paths = comma_separated(value).map(PathBuf::from);
        alerting.rule_files.extend(paths);
        Ok(())
    }),
    Variable::new("OBSERVATORY_TEMPLATES", |alerting, value| {
        let paths = comma_separated(value).map(PathBuf::from);
        alerting.template_files.extend(paths);
        Ok(())
    }),
    variable!("OBSERVATORY_DATA_DIR" => data_dir, some_text),
    Variable::new("OBSERVATORY_FLUSH_ON_SHUTDOWN", |alerting, value| {
        let mut values = FlushOnShutdown::ALL.into_iter();
        let flush = values.find(|flush| flush.as_str().eq_ignore_ascii_case(value));
        let flush = flush.ok_or("`auto`, `all` or `never`");
        set(&mut alerting.flush_on_shutdown, flush)
    }),
    variable!("OBSERVATORY_EXTERNAL_URL" => external_url, some_text),
    variable!("OBSERVATORY_TRACE_URL" => trace_url, some_text),
    variable!("OBSERVATORY_AGGREGATION_WINDOW" => aggregation_window, duration),
    Variable::secret("OBSERVATORY_TOKEN", |alerting, value| {
        set(&mut alerting.api_token, Ok(Some(Secret::new(value))))
    }),
    variable!("OBSERVATORY_EVALUATION_INTERVAL" => evaluation_interval, duration),
    variable!("OBSERVATORY_RESTART_HOLD" => restart_hold, duration),
];
