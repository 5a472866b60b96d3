//! Alerts: which rules there are, who is told, where state is kept.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

#[cfg(feature = "email")]
use crate::alerting::EmailOptions;
use crate::alerting::{
    AlertRule, ConsoleOptions, HttpOptions, PagerDutyOptions, Routing, RuleGroup, Secret,
    SlackOptions, TemplateFiles, WebhookOptions,
};

/// Stands in a template where the id of a trace goes.
pub(super) const TRACE_ID: &str = "{trace_id}";

/// Where a browser finds a trace, by a template such as [`AlertingConfig::trace_url`].
pub(crate) fn trace_url(template: &str, trace_id: u128) -> String {
    template.replace(TRACE_ID, &format!("{trace_id:032x}"))
}

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
    /// Files of templates that the templates of all channels can call, as in Alertmanager's `templates`: `*` and `?`
    /// match within one component of a path. The files are read at start. Default: none.
    pub template_files: Vec<PathBuf>,
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

/// One channel, and what it wants to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelConfig {
    /// How it tells.
    pub kind: ChannelKind,
    /// Whether it is told anything. Default: true.
    pub enabled: bool,
    /// Whether it is told that alerts are over. Default: true.
    pub send_resolved: bool,
    /// The channel that is told what this one could not deliver. Default: none.
    pub fallback: Option<String>,
}

/// How a channel tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelKind {
    /// Lines on standard error.
    Console(ConsoleOptions),
    /// An incoming webhook of Slack.
    Slack(SlackOptions),
    /// `PagerDuty`'s Events API v2.
    PagerDuty(PagerDutyOptions),
    /// E-mail.
    #[cfg(feature = "email")]
    Email(EmailOptions),
    /// A POST of the body that Alertmanager's webhook has.
    Webhook(WebhookOptions),
    /// Alertmanagers, all of which get every alert: grouping and silences are then theirs.
    Alertmanager {
        /// Base URLs, `http://alertmanager:9093`.
        urls: Vec<Secret>,
        /// Headers beside ours, such as `authorization`.
        headers: BTreeMap<String, Secret>,
    },
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
            max_history: 10_000,
            external_url: None,
            trace_url: None,
            http: HttpOptions::default(),
            api_token: None,
        }
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
        Self::new(ChannelKind::Alertmanager {
            urls: urls.into_iter().map(Secret::new).collect(),
            headers: BTreeMap::new(),
        })
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

    /// Lets the templates of the channel call the templates of these files, unless the channel has files of its own.
    pub(crate) fn with_default_template_files(mut self, files: &TemplateFiles) -> Self {
        let own = match &mut self.kind {
            ChannelKind::Console(options) => &mut options.template_files,
            ChannelKind::Slack(options) => &mut options.template_files,
            ChannelKind::PagerDuty(options) => &mut options.template_files,
            #[cfg(feature = "email")]
            ChannelKind::Email(options) => &mut options.template_files,
            ChannelKind::Webhook(options) => &mut options.template_files,
            ChannelKind::Alertmanager { .. } => return self,
        };
        if own.is_empty() {
            own.clone_from(files);
        }
        self
    }

    /// What it lacks to be of use, as the name of a variable; `None` where it has all.
    pub(crate) fn missing(&self) -> Option<&'static str> {
        match &self.kind {
            ChannelKind::Slack(options) if options.url.expose().is_empty() => {
                Some("SLACK_WEBHOOK_URL")
            }
            ChannelKind::PagerDuty(options) if options.routing_key.expose().is_empty() => {
                Some("PAGERDUTY_ROUTING_KEY")
            }
            #[cfg(feature = "email")]
            ChannelKind::Email(options) if options.host.is_empty() => Some("SMTP_HOST"),
            #[cfg(feature = "email")]
            ChannelKind::Email(options) if options.from.is_empty() => Some("ALERT_FROM_EMAIL"),
            #[cfg(feature = "email")]
            ChannelKind::Email(options) if options.to.is_empty() => Some("ALERT_TO_EMAILS"),
            #[cfg(feature = "email")]
            ChannelKind::Email(_) => None,
            ChannelKind::Webhook(options) if options.urls.is_empty() => {
                Some("MONITORING_WEBHOOK_URL")
            }
            ChannelKind::Alertmanager { urls, .. } if urls.is_empty() => {
                Some("OBSERVATORY_ALERTMANAGERS")
            }
            ChannelKind::Console(_)
            | ChannelKind::Slack(_)
            | ChannelKind::PagerDuty(_)
            | ChannelKind::Webhook(_)
            | ChannelKind::Alertmanager { .. } => None,
        }
    }
}
