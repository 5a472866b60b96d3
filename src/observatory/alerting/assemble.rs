//! From the configuration to rules, channels and routes; what is wrong is an error before anything has begun.

use std::{collections::BTreeMap, collections::BTreeSet, sync::Arc, time::Duration};

use super::{change::of_rules, signals::Signals};
use crate::{
    alerting::{
        AlertRule, AlertmanagerPeer, Channel, ChannelTraits, Console, DefaultRules,
        DispatchOptions, ExportedChannel, HttpClient, HttpClientError, NotificationOptions,
        Notifications, OpenError, Receiver, Route, Routing, RoutingError, RuleErrors, RuleGroup,
        RuleGroups, RuleOptions, Runner, Source, TemplateFiles, TimeSource, TraceLink,
        default_rules, load_rule_file, preset_rules,
    },
    config::{AlertingConfig, ChannelConfig, ChannelKind, Config, Preset},
    metrics::registry::Diagnostics,
    query::{engine::Engine, store::SeriesStore},
};

/// The file, in status and errors, of the rules that come with the crate.
const DEFAULTS: &str = "defaults";
/// The file of groups that the configuration holds.
const CONFIGURED: &str = "configuration";
/// The receiver of alerts whose rule names no channel.
const EVERYBODY: &str = "default";
/// Time that a new group waits for more alerts: Alertmanager's.
const GROUP_WAIT: Duration = Duration::from_secs(30);
/// The channel that is there where no other is: an alert must go somewhere.
const CONSOLE: &str = "console";

/// Said once, where a person would look for the link.
const NO_LINK: &str = "alerts are sent without a link to the observatory, since only this machine reaches it: \
                       OBSERVATORY_EXTERNAL_URL names where a browser finds it";

/// Alerting cannot be put together. Nothing was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AlertingError {
    /// Rules are wrong.
    #[error(transparent)]
    Rules(#[from] RuleErrors),
    /// Routes or channels are wrong.
    #[error(transparent)]
    Routing(#[from] RoutingError),
    /// A rule, or a fallback, names a channel that there is not.
    #[error(transparent)]
    UnknownChannel(#[from] UnknownRuleChannel),
    /// Notifications cannot be sent.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is no client for webhooks.
    #[error(transparent)]
    Client(#[from] HttpClientError),
}

/// Somebody names a channel that is not configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place} names the channel {channel:?}, but there are only: {known}")]
pub struct UnknownRuleChannel {
    place: String,
    channel: String,
    known: String,
}

/// Everything, ready to run.
pub(crate) struct Assembled {
    pub(super) rules: RuleGroups,
    pub(super) notifications: Notifications,
    pub(super) runner: Runner,
    pub(super) signals: Signals,
    pub(super) routes: Routes,
    pub(super) link: TraceLink,
    pub(super) is_on: bool,
}

/// What routes are made of, whenever rules have changed.
#[derive(Clone, Debug)]
pub(crate) struct Routes {
    routing: Option<Routing>,
    window: Duration,
    /// Channels that are told.
    enabled: BTreeSet<String>,
    /// Channels that are configured, told or not.
    known: BTreeSet<String>,
    /// How the channels appear in Alertmanager's configuration.
    exported: BTreeMap<String, ExportedChannel>,
}

/// What is put together.
pub(crate) struct Parts<'a> {
    pub(crate) config: &'a Config,
    pub(crate) engine: &'a Engine,
    pub(crate) store: &'a SeriesStore,
    /// Channels of the application's own.
    pub(crate) own: BTreeMap<String, Channel>,
    pub(crate) time: TimeSource,
    pub(crate) signals: Signals,
    /// What a person should know of the configuration goes there.
    pub(crate) diagnostics: &'a Diagnostics,
}

impl Assembled {
    pub(crate) fn new(parts: Parts<'_>) -> Result<Self, AlertingError> {
        let Parts {
            config, own, time, ..
        } = parts;
        let alerting = &config.alerting;
        let is_on = config.enabled && alerting.enabled;
        let mut channels = own;
        let mut peers = Vec::new();
        let mut exported = BTreeMap::new();
        let mut known: BTreeSet<String> = channels.keys().cloned().collect();
        known.extend(alerting.channels.keys().cloned());
        if is_on {
            let client = HttpClient::new(&alerting.http)?;
            let files = TemplateFiles::load(&alerting.template_files)?;
            for (name, channel) in &alerting.channels {
                if let Some(variable) = channel.missing().filter(|_| channel.enabled) {
                    parts.diagnostics.notice(format!(
                        "the alert channel {name} is off: it needs an address ({variable})"
                    ));
                } else if channel.enabled && !channels.contains_key(name) {
                    let channel = channel.clone().with_default_template_files(&files);
                    channels.extend(made(name, &channel, &client)?);
                    peers.extend(peers_of(name, &channel, &client)?);
                    exported.insert(name.clone(), exported_as(&channel));
                }
            }
        }
        let told: BTreeSet<String> = channels.keys().cloned().collect();
        for channel in channels.values_mut() {
            // The validation has seen that it is configured; it may be off for want of an address.
            channel.traits.fallback.take_if(|name| !told.contains(name));
        }
        if channels.is_empty() && peers.is_empty() {
            channels.insert(CONSOLE.to_owned(), Channel::new(Console::stderr()));
            known.insert(CONSOLE.to_owned());
        }
        let routes = Routes {
            // Where nothing is told, nothing can be wrong with where it would go.
            routing: alerting.routing.clone().filter(|_| is_on),
            window: alerting.aggregation_window,
            enabled: channels.keys().cloned().collect(),
            known,
            exported,
        };
        let now = time();
        let rules = rules(config, parts.engine, parts.store, &routes, now)?;
        parts.store.keep_long(rules.long_selectors());
        let url = browser_url(config);
        if url.is_empty() && is_on && has_readers(&channels, config) {
            parts.diagnostics.notice(NO_LINK.to_owned());
        }
        let dispatch = DispatchOptions::default().with_external_url(url);
        let mut options = NotificationOptions::new(routes.routing(&rules))
            .with_dispatch(dispatch)
            .with_max_history(alerting.max_history);
        options.shutdown_timeout = config.shutdown_timeout;
        options.data_dir = alerting.data_dir.clone().filter(|_| is_on);
        let (notifications, runner) = Notifications::open(options, channels, peers, time)?;
        Ok(Self {
            rules,
            notifications,
            runner,
            signals: parts.signals,
            routes,
            link: TraceLink {
                template: alerting.trace_url.clone(),
            },
            is_on,
        })
    }
}

fn rules(
    config: &Config,
    engine: &Engine,
    store: &SeriesStore,
    routes: &Routes,
    now: i64,
) -> Result<RuleGroups, AlertingError> {
    let AlertingConfig {
        enabled,
        evaluation_interval,
        default_rules: has_defaults,
        rule_files,
        escalation_delay,
        ..
    } = &config.alerting;
    let mut options = RuleOptions::default()
        .with_interval(*evaluation_interval)
        .with_external_url(external_url(config));
    for (name, value) in &config.prometheus.labels {
        options = options.with_external_label(name, value);
    }
    let mut rules = RuleGroups::new(options);
    let source = Source::new(engine, store);
    if config.enabled && *enabled && *has_defaults {
        let mut defaults = DefaultRules::new(&config.prometheus.prefix);
        defaults.interval = *evaluation_interval;
        defaults.escalation_delay = *escalation_delay;
        let preset = config.service.environment.as_deref();
        let groups = match preset.and_then(Preset::named) {
            Some(preset) => preset_rules(preset, &defaults),
            None => default_rules(&defaults),
        };
        rules.load(DEFAULTS, groups, &source, now)?;
    }
    // Where alerting is off, a rule file that is not there is no reason not to start.
    for path in rule_files.iter().filter(|_| config.enabled && *enabled) {
        let groups = load_rule_file(path)?;
        for rule in groups.iter().flat_map(RuleGroup::alert_rules) {
            routes.check(rule)?;
        }
        rules.load(&path.display().to_string(), groups, &source, now)?;
    }
    let groups = &config.alerting.rule_groups;
    for rule in groups.iter().flat_map(RuleGroup::alert_rules) {
        routes.check(rule)?;
    }
    rules.load(CONFIGURED, groups.clone(), &source, now)?;
    for rule in &config.alerting.rules {
        routes.check(rule)?;
        rules.add_rule(rule.clone(), &source, now)?;
    }
    Ok(rules)
}

/// The channel that a configured one is; Alertmanagers are none.
fn made(
    name: &str,
    config: &ChannelConfig,
    client: &HttpClient,
) -> Result<Option<(String, Channel)>, RoutingError> {
    let channel = match &config.kind {
        ChannelKind::Console(options) => Channel::from_notifiers(options.build(name)?),
        ChannelKind::Slack(options) => Channel::from_notifiers(options.build(name, client)?),
        ChannelKind::PagerDuty(options) => Channel::from_notifiers(options.build(name, client)?),
        #[cfg(feature = "email")]
        ChannelKind::Email(options) => Channel::from_notifiers(options.build(name)?),
        ChannelKind::Webhook(options) => Channel::from_notifiers(options.build(name, client)?),
        ChannelKind::Alertmanager { .. } => return Ok(None),
    };
    let mut traits = ChannelTraits::default().with_send_resolved(config.send_resolved);
    traits.fallback.clone_from(&config.fallback);
    if matches!(config.kind, ChannelKind::PagerDuty(_)) {
        // Its incidents know who has acknowledged.
        traits = traits.with_acknowledgements();
    }
    Ok(Some((name.to_owned(), channel.with_traits(traits))))
}

fn peers_of(
    name: &str,
    config: &ChannelConfig,
    client: &HttpClient,
) -> Result<Vec<AlertmanagerPeer>, RoutingError> {
    let ChannelKind::Alertmanager { urls, headers } = &config.kind else {
        return Ok(Vec::new());
    };
    let peer = |(number, url)| {
        let name = format!("{name}/{number}");
        AlertmanagerPeer::new(name, url, client.clone())?.with_headers(headers)
    };
    urls.iter().enumerate().map(peer).collect()
}

/// Addresses may hold secrets, so they are not written out.
fn exported_as(config: &ChannelConfig) -> ExportedChannel {
    match &config.kind {
        ChannelKind::Webhook(options) => ExportedChannel::Webhook {
            urls: (1..=options.urls.len())
                .map(|number| format!("http://replace-me.example/{number}"))
                .collect(),
            send_resolved: config.send_resolved,
            max_alerts: options.max_alerts,
        },
        _ => ExportedChannel::LeftOut,
    }
}

fn external_url(config: &Config) -> String {
    let own = || format!("http://{}", config.prometheus.listen);
    config.alerting.external_url.clone().unwrap_or_else(own)
}

/// Where a person's browser finds the observatory; empty where only this machine could.
fn browser_url(config: &Config) -> String {
    let listen = config.prometheus.listen;
    let is_here = listen.ip().is_loopback() || listen.ip().is_unspecified() || listen.port() == 0;
    match &config.alerting.external_url {
        None if is_here || !config.prometheus.enabled => String::new(),
        _ => external_url(config),
    }
}

/// Whether a channel whose messages have links is told.
fn has_readers(told: &BTreeMap<String, Channel>, config: &Config) -> bool {
    let channels = config.alerting.channels.iter();
    let mut told = channels.filter(|(name, _)| told.contains_key(*name));
    told.any(|(_, channel)| match channel.kind {
        ChannelKind::Slack(_) | ChannelKind::PagerDuty(_) => true,
        #[cfg(feature = "email")]
        ChannelKind::Email(_) => true,
        ChannelKind::Console(_) | ChannelKind::Webhook(_) | ChannelKind::Alertmanager { .. } => {
            false
        }
    })
}

impl Routes {
    /// Where alerts go: each rule to the channels that it names and that are told, the others as the configured tree
    /// says, or to everybody.
    pub(super) fn routing(&self, rules: &RuleGroups) -> Routing {
        self.routing_of(of_rules(rules))
    }

    /// As [`Routes::routing`], for rules that are not there yet, each with its file.
    pub(super) fn routing_of<'r>(
        &self,
        rules: impl Iterator<Item = (&'r str, &'r AlertRule)>,
    ) -> Routing {
        let everybody = Receiver::new(EVERYBODY, self.enabled.iter().cloned());
        let written = self.routing.clone().map(|mut tree| {
            for receiver in &mut tree.receivers {
                let steps = receiver.escalation.iter_mut().flat_map(|e| &mut e.steps);
                let lists = steps.map(|step| &mut step.channels);
                lists
                    .chain([&mut receiver.channels])
                    .for_each(|list| self.leave_out_silent(list));
            }
            tree
        });
        let base = written.unwrap_or_else(|| {
            let mut route = Route::to(EVERYBODY).with_group_by(["alertname"]);
            route.group_wait = Some(self.window.min(GROUP_WAIT));
            route.group_interval = Some(self.window);
            Routing::to_receiver(everybody).with_route(route)
        });
        let simple = rules
            // A tree that somebody wrote stands over what the default rules say.
            .filter(|(file, _)| self.routing.is_none() || *file != DEFAULTS)
            .filter_map(|(_, rule)| rule.routing(self.window))
            .map(|mut simple| {
                self.keep_told(&mut simple.channels);
                if let Some(escalation) = &mut simple.escalation {
                    for step in &mut escalation.steps {
                        self.keep_told(&mut step.channels);
                    }
                    if escalation.steps.is_empty() {
                        let same = simple.channels.iter().cloned();
                        *escalation = escalation.clone().with_step(same);
                    }
                }
                simple
            });
        base.with_rules(&simple.collect::<Vec<_>>())
    }

    /// Leaves out the channels that are off for want of an address. A receiver that had none has none; where none is
    /// left, everybody is told. One that there is not stays: it is an error.
    fn leave_out_silent(&self, channels: &mut Vec<String>) {
        let had_some = !channels.is_empty();
        channels.retain(|name| self.enabled.contains(name) || !self.known.contains(name));
        if had_some && channels.is_empty() {
            channels.extend(self.enabled.iter().cloned());
        }
    }

    /// Leaves out the channels that are off; where none is left, everybody is told.
    fn keep_told(&self, channels: &mut Vec<String>) {
        channels.retain(|channel| self.enabled.contains(channel));
        if channels.is_empty() {
            channels.extend(self.enabled.iter().cloned());
        }
    }

    /// Whether every channel that a rule names is configured.
    pub(super) fn check(&self, rule: &AlertRule) -> Result<(), UnknownRuleChannel> {
        let steps = rule
            .escalation
            .iter()
            .flat_map(|escalation| &escalation.steps);
        let named = steps.flat_map(|step| &step.channels).chain(&rule.channels);
        match named.into_iter().find(|name| !self.known.contains(*name)) {
            None => Ok(()),
            Some(channel) => Err(UnknownRuleChannel {
                place: format!("the alert rule {:?}", rule.id),
                channel: channel.clone(),
                known: self.known.iter().cloned().collect::<Vec<_>>().join(", "),
            }),
        }
    }

    pub(super) const fn exported(&self) -> &BTreeMap<String, ExportedChannel> {
        &self.exported
    }
}

/// The wall clock, for whoever wants it as a function.
pub(crate) fn time_source(clock: &crate::clock::Clock) -> TimeSource {
    let clock = clock.clone();
    Arc::new(move || super::super::milliseconds(clock.wall()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerting::SlackOptions;

    fn listening(at: &str) -> Config {
        Config::default().with_listen(at.parse().unwrap())
    }

    #[test]
    fn a_link_that_only_this_machine_could_follow_is_given_to_nobody() {
        for at in [
            "127.0.0.1:9090",
            "[::1]:9090",
            "0.0.0.0:9090",
            "[::]:9090",
            "10.0.0.1:0",
        ] {
            assert_eq!(browser_url(&listening(at)), "", "{at}");
        }
        let mut config = listening("10.0.0.1:9090");
        assert_eq!(browser_url(&config), "http://10.0.0.1:9090");
        config.prometheus.enabled = false;
        assert_eq!(browser_url(&config), "");
        // Whoever says so means it.
        config.alerting.external_url = Some("http://localhost:9090".to_owned());
        assert_eq!(browser_url(&config), "http://localhost:9090");
    }

    #[test]
    fn the_missing_link_is_said_where_somebody_would_follow_it() {
        let slack = ChannelConfig::slack(SlackOptions::new("https://hooks.example/token"));
        let config = Config::default()
            .with_channel("slack", slack)
            .with_channel("hook", ChannelConfig::alertmanagers(["http://a:9093"]));
        let told = |names: &[&str]| {
            let channel = |name: &&str| ((*name).to_owned(), Channel::new(Console::stderr()));
            has_readers(&names.iter().map(channel).collect(), &config)
        };
        assert!(told(&["console", "slack"]));
        assert!(!told(&["console", "hook"]) && !told(&[]));
    }
}
