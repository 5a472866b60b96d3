//! Builds rules, channels and routes from the configuration. An invalid configuration is an error before any thread
//! starts.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use super::{Context, change::rules_by_file, signals::Signals};
use crate::alerting::{
    AlertRule, AlertingConfig, Channel, ChannelConfig, ChannelKind, ChannelTraits, Console,
    DispatchOptions, ExportedChannel, FlushOnShutdown, NotificationOptions, Notifications,
    OpenError, Receiver, Route, Routing, RoutingError, RuleErrors, RuleGroup, RuleGroups,
    RuleOptions, Runner, Source, TemplateFiles, TimeSource, TraceLink,
    channel::{Built, ChannelContext},
    load_rule_file,
};
use crate::net::{ClientError, OutgoingClient};

/// The file name of the default rules in status and errors.
pub(super) const DEFAULTS: &str = "defaults";
/// The file name of the rule groups of the configuration.
const CONFIGURED: &str = "configuration";
/// The receiver of alerts whose rule names no channel: all enabled channels.
const DEFAULT_RECEIVER: &str = "default";
/// The maximum time that a new group waits for more alerts: Alertmanager's default.
const MAX_GROUP_WAIT: Duration = Duration::from_secs(30);
/// The channel that is created if no other channel is enabled.
const CONSOLE: &str = "console";

/// The notice if messages have no link although their channel supports links.
const NO_LINK: &str = "alerts are sent without a link to the observatory, because only this machine reaches its \
                       address: set OBSERVATORY_EXTERNAL_URL to an address that browsers reach";

/// An error in the configuration of alerting; no thread was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AlertingError {
    /// A rule is invalid.
    #[error(transparent)]
    Rules(#[from] RuleErrors),
    /// A route or a channel is invalid.
    #[error(transparent)]
    Routing(#[from] RoutingError),
    /// A rule names an unknown channel.
    #[error(transparent)]
    UnknownChannel(#[from] UnknownRuleChannel),
    /// The notifications cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The HTTP client cannot be created.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// A rule names a channel that is not configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place} names the unknown channel {channel:?}; the channels are: {known}")]
pub struct UnknownRuleChannel {
    place: String,
    channel: String,
    known: String,
}

/// The parts of the service before its start.
pub(crate) struct Assembled {
    pub(super) context: Context,
    pub(super) rules: RuleGroups,
    pub(super) notifications: Notifications,
    pub(super) runner: Runner,
    pub(super) signals: Signals,
    pub(super) routes: Routes,
    pub(super) link: TraceLink,
    pub(super) flush_on_shutdown: FlushOnShutdown,
    pub(super) is_on: bool,
}

/// The parts from which routes are built after each change of the rules.
#[derive(Clone, Debug)]
pub(crate) struct Routes {
    routing: Option<Routing>,
    window: Duration,
    /// The enabled channels, with their kinds; the application's own channels have their name as their kind.
    enabled: BTreeMap<String, String>,
    /// The configured channels, enabled or not.
    known: BTreeSet<String>,
    /// The channels in the form of an Alertmanager configuration.
    exported: BTreeMap<String, ExportedChannel>,
}

/// The parts from which alerting is assembled.
pub(crate) struct ServiceParts<'a> {
    pub(crate) options: &'a AlertingConfig,
    /// True if the observatory is enabled.
    pub(crate) is_enabled: bool,
    pub(crate) context: Context,
    /// The default rules, with those of the preset.
    pub(crate) default_rules: Vec<RuleGroup>,
    /// `service.name`.
    pub(crate) service: &'a str,
    /// The configured address of the server, and whether the server is enabled.
    pub(crate) listen: (SocketAddr, bool),
    pub(crate) shutdown_timeout: Duration,
    /// Channels that the application implements.
    pub(crate) own: BTreeMap<String, Channel>,
    pub(crate) signals: Signals,
}

impl Assembled {
    pub(crate) fn new(parts: ServiceParts<'_>) -> Result<Self, AlertingError> {
        let alerting = parts.options;
        let diagnostics = parts.context.queries.gatherer.registry.diagnostics();
        let is_on = parts.is_enabled && alerting.enabled;
        let url = browser_url(alerting, parts.listen);
        let mut channels = parts.own.clone();
        let mut peers = Vec::new();
        let mut exported = BTreeMap::new();
        let mut known: BTreeSet<String> = channels.keys().cloned().collect();
        known.extend(alerting.channels.keys().cloned());
        if is_on {
            let client = OutgoingClient::new(&alerting.http)?;
            let files = TemplateFiles::load(&alerting.template_files)?;
            for (name, channel) in &alerting.channels {
                if let Some(variable) = channel.kind.missing().filter(|_| channel.enabled) {
                    diagnostics.notice(format!(
                        "the alert channel {name} is off: it needs an address ({variable})"
                    ));
                } else if channel.enabled && !channels.contains_key(name) {
                    let context = ChannelContext {
                        name,
                        client: &client,
                        service: parts.service,
                        template_files: &files,
                    };
                    let receivers = channel.kind.receivers(&context);
                    match receivers.map_err(|error| with_keys(error, name, &channel.kind))? {
                        Built::Notifiers(notifiers) => {
                            let built = Channel::from_notifiers(notifiers).on_shared_thread();
                            channels.insert(name.clone(), built.with_traits(traits(channel)));
                        }
                        Built::Alertmanagers(built) => peers.extend(built),
                    }
                    exported.insert(name.clone(), channel.kind.exported(channel.send_resolved));
                }
            }
        }
        let enabled: BTreeSet<String> = channels.keys().cloned().collect();
        for channel in channels.values_mut() {
            // Validation has checked that the fallback is configured; the fallback may be off without an address.
            channel
                .traits
                .fallback
                .take_if(|name| !enabled.contains(name));
        }
        if channels.is_empty() && peers.is_empty() {
            let console = Channel::new(Console::stderr()).on_shared_thread();
            channels.insert(CONSOLE.to_owned(), console);
            known.insert(CONSOLE.to_owned());
        }
        let kind_of = |name: &String| {
            let configured = alerting.channels.get(name);
            let configured = configured.filter(|_| !parts.own.contains_key(name));
            let kind = configured.map_or(name.as_str(), |channel| channel.kind.name());
            (name.clone(), kind.to_owned())
        };
        let routes = Routes {
            // Invalid routes are no error while alerting is off.
            routing: alerting.routing.clone().filter(|_| is_on),
            window: alerting.aggregation_window,
            enabled: channels.keys().map(kind_of).collect(),
            known,
            exported,
        };
        let rules = rules(&parts, &routes, is_on)?;
        let queries = &parts.context.queries;
        queries.store.keep_long(rules.long_selectors());
        if url.is_empty() && is_on && has_readers(&channels, alerting) {
            diagnostics.notice(NO_LINK.to_owned());
        }
        let dispatch = DispatchOptions::default().with_external_url(url);
        let mut options = NotificationOptions::new(routes.routing(&rules))
            .with_dispatch(dispatch)
            .with_max_history(alerting.max_history);
        options.shutdown_timeout = parts.shutdown_timeout;
        options.data_dir = alerting.data_dir.clone().filter(|_| is_on);
        let clock = queries.gatherer.clock.clone();
        let time: TimeSource = Arc::new(move || clock.unix_ms().as_i64());
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
            flush_on_shutdown: alerting.flush_on_shutdown,
            is_on,
            context: parts.context,
        })
    }
}

fn rules(
    parts: &ServiceParts<'_>,
    routes: &Routes,
    is_on: bool,
) -> Result<RuleGroups, AlertingError> {
    let alerting = parts.options;
    let Context {
        queries, labels, ..
    } = &parts.context;
    let now = queries.now().as_i64();
    let mut options = RuleOptions::default()
        .with_interval(alerting.evaluation_interval)
        .with_restart_hold(alerting.restart_hold)
        .with_external_url(external_url(alerting, parts.listen.0));
    for (name, value) in labels {
        options = options.with_external_label(name, value);
    }
    let mut rules = RuleGroups::new(options);
    let source = Source::new(&queries.engine, &queries.store);
    if is_on && alerting.default_rules {
        rules.load(DEFAULTS, parts.default_rules.clone(), &source, now)?;
    }
    // A missing rule file does not prevent the start if alerting is disabled.
    for path in alerting.rule_files.iter().filter(|_| is_on) {
        let groups = load_rule_file(path)?;
        for rule in groups.iter().flat_map(RuleGroup::alert_rules) {
            routes.check(rule)?;
        }
        rules.load(&path.display().to_string(), groups, &source, now)?;
    }
    let groups = &alerting.rule_groups;
    for rule in groups.iter().flat_map(RuleGroup::alert_rules) {
        routes.check(rule)?;
    }
    rules.load(CONFIGURED, groups.clone(), &source, now)?;
    for rule in &alerting.rules {
        routes.check(rule)?;
        rules.add_rule(rule.clone(), &source, now)?;
    }
    Ok(rules)
}

/// Adds the key and the environment variable of a channel's address to an error about the address.
fn with_keys(mut error: RoutingError, name: &str, kind: &ChannelKind) -> RoutingError {
    if matches!(error.key, "url" | "alertmanagers") {
        let variable = kind.variable();
        let variable = variable.map_or_else(String::new, |variable| format!(" ({variable})"));
        let key = error.key;
        let place = format!("; set alerting.channels.{name}.{key}{variable}");
        error.problem.push_str(&place);
    }
    error
}

/// The routing traits of a configured channel.
fn traits(channel: &ChannelConfig) -> ChannelTraits {
    let mut traits = ChannelTraits::default().with_send_resolved(channel.send_resolved);
    traits.fallback.clone_from(&channel.fallback);
    channel.kind.traits(traits)
}

fn external_url(options: &AlertingConfig, listen: SocketAddr) -> String {
    let own = || format!("http://{listen}");
    options.external_url.clone().unwrap_or_else(own)
}

/// The address at which a browser on another machine reaches the observatory; empty if there is none.
fn browser_url(options: &AlertingConfig, (listen, has_server): (SocketAddr, bool)) -> String {
    let is_local = listen.ip().is_loopback() || listen.ip().is_unspecified() || listen.port() == 0;
    match &options.external_url {
        None if is_local || !has_server => String::new(),
        _ => external_url(options, listen),
    }
}

/// Returns `true` if an enabled channel has messages with links.
fn has_readers(enabled: &BTreeMap<String, Channel>, alerting: &AlertingConfig) -> bool {
    let mut channels = alerting.channels.iter();
    channels.any(|(name, channel)| enabled.contains_key(name) && channel.kind.has_links())
}

impl Routes {
    /// Builds the routing: alerts of a rule that names channels go to its enabled channels, other alerts follow the
    /// configured routing tree, or go to all enabled channels without a tree.
    pub(super) fn routing(&self, rules: &RuleGroups) -> Routing {
        self.routing_of(rules_by_file(rules))
    }

    /// Builds the routing for planned rules, each with the name of its file.
    pub(super) fn routing_of<'r>(
        &self,
        rules: impl Iterator<Item = (&'r str, &'r AlertRule)>,
    ) -> Routing {
        let default = Receiver::new(DEFAULT_RECEIVER, self.enabled.keys().cloned());
        let configured = self.routing.clone().map(|mut tree| {
            for receiver in &mut tree.receivers {
                let steps = receiver.escalation.iter_mut().flat_map(|e| &mut e.steps);
                let lists = steps.map(|step| &mut step.channels);
                lists
                    .chain([&mut receiver.channels])
                    .for_each(|list| self.remove_disabled(list));
            }
            tree
        });
        let base = configured.unwrap_or_else(|| {
            let mut route = Route::to(DEFAULT_RECEIVER).with_group_by(["alertname"]);
            route.group_wait = Some(self.window.min(MAX_GROUP_WAIT));
            route.group_interval = Some(self.window);
            Routing::to_receiver(default).with_route(route)
        });
        let simple = rules
            // A configured tree overrides the routes of the default rules.
            .filter(|(file, _)| self.routing.is_none() || *file != DEFAULTS)
            .filter_map(|(file, rule)| Some((file == DEFAULTS, rule.routing(self.window)?)))
            .map(|(is_default, mut simple)| {
                self.keep_enabled(&mut simple.channels, is_default);
                if let Some(escalation) = &mut simple.escalation {
                    for step in &mut escalation.steps {
                        self.keep_enabled(&mut step.channels, is_default);
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

    /// Removes the configured but disabled channels of a receiver. If this removes every channel, the receiver gets all
    /// enabled channels. Unknown channels stay: the router reports them as errors.
    fn remove_disabled(&self, channels: &mut Vec<String>) {
        let had_channels = !channels.is_empty();
        channels.retain(|name| self.enabled.contains_key(name) || !self.known.contains(name));
        if had_channels && channels.is_empty() {
            channels.extend(self.enabled.keys().cloned());
        }
    }

    /// Removes the channels that are not enabled. Without an enabled channel, the list gets all enabled channels. The
    /// channels of default rules are kinds: `slack` becomes every channel of that kind.
    fn keep_enabled(&self, channels: &mut Vec<String>, are_kinds: bool) {
        if are_kinds {
            let kinds = std::mem::take(channels);
            let enabled = self.enabled.iter();
            let of_kinds = enabled.filter(|(_, kind)| kinds.contains(kind));
            channels.extend(of_kinds.map(|(name, _)| name.clone()));
        } else {
            channels.retain(|channel| self.enabled.contains_key(channel));
        }
        if channels.is_empty() {
            channels.extend(self.enabled.keys().cloned());
        }
    }

    /// Returns an error if a rule names a channel that is not configured.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerting::{AlertmanagerOptions, SlackOptions};

    #[test]
    fn a_link_that_only_this_machine_can_open_is_not_sent() {
        let mut options = AlertingConfig::default();
        for at in [
            "127.0.0.1:9090",
            "[::1]:9090",
            "0.0.0.0:9090",
            "[::]:9090",
            "10.0.0.1:0",
        ] {
            let listen = at.parse().unwrap();
            assert_eq!(browser_url(&options, (listen, true)), "", "{at}");
        }
        let listen = "10.0.0.1:9090".parse().unwrap();
        assert_eq!(
            browser_url(&options, (listen, true)),
            "http://10.0.0.1:9090"
        );
        assert_eq!(browser_url(&options, (listen, false)), "");
        // A configured address is used as it is.
        options.external_url = Some("http://localhost:9090".to_owned());
        assert_eq!(
            browser_url(&options, (listen, false)),
            "http://localhost:9090"
        );
    }

    #[test]
    fn the_channels_of_default_rules_are_kinds() {
        let enabled = [("ops", "slack"), ("team", "slack"), ("mine", "mine")];
        let enabled = enabled.map(|(name, kind)| (name.to_owned(), kind.to_owned()));
        let routes = Routes {
            routing: None,
            window: Duration::from_mins(5),
            enabled: enabled.into(),
            known: BTreeSet::new(),
            exported: BTreeMap::new(),
        };
        let kept = |named: &[&str], are_kinds| {
            let mut channels: Vec<String> = named.iter().map(|name| (*name).to_owned()).collect();
            routes.keep_enabled(&mut channels, are_kinds);
            channels
        };
        assert_eq!(kept(&["slack", "email"], true), ["ops", "team"]);
        assert_eq!(kept(&["mine"], true), ["mine"]);
        assert_eq!(
            kept(&["email"], true),
            ["mine", "ops", "team"],
            "no channel of the kind"
        );
        assert_eq!(
            kept(&["ops", "slack"], false),
            ["ops"],
            "rules of the application name channels"
        );
        let rule = AlertRule::new("r").expr("1").channels(["slack"]);
        let has = |file| {
            let routing = routes.routing_of([(file, &rule)].into_iter());
            let mut receivers = routing.receivers.iter();
            receivers.any(|receiver| receiver.channels == ["ops", "team"])
        };
        assert!(has(DEFAULTS) && !has(CONFIGURED));
    }

    #[test]
    fn an_error_of_an_address_names_its_key_and_its_variable() {
        let kind = ChannelKind::Slack(SlackOptions::default());
        let error = |key| with_keys(RoutingError::channel("ops", key, "is bad"), "ops", &kind);
        let expected =
            "channel \"ops\": url: is bad; set alerting.channels.ops.url (SLACK_WEBHOOK_URL)";
        assert_eq!(error("url").to_string(), expected);
        assert_eq!(error("icon").to_string(), "channel \"ops\": icon: is bad");
    }

    #[test]
    fn a_missing_link_is_reported_if_a_channel_has_links() {
        let mut options = AlertingConfig::default();
        options.set_channel("slack", SlackOptions::new("https://hooks.example/token"));
        options.set_channel("hook", AlertmanagerOptions::new(["http://a:9093"]));
        let has_readers = |names: &[&str]| {
            let channel = |name: &&str| ((*name).to_owned(), Channel::new(Console::stderr()));
            has_readers(&names.iter().map(channel).collect(), &options)
        };
        assert!(has_readers(&["console", "slack"]));
        assert!(!has_readers(&["console", "hook"]) && !has_readers(&[]));
    }
}
