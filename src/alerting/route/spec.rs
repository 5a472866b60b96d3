//! The routing configuration as plain data, in Alertmanager's words.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Deserializer};

use super::{inhibit::InhibitRule, interval::NamedInterval, units};

/// Where alerts go: a tree of routes, the receivers at its ends, and what keeps alerts back.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Routing {
    /// The root: every alert enters here, so it has a receiver and no matchers.
    pub route: Route,
    /// Who can be told.
    pub receivers: Vec<Receiver>,
    /// Which alerts keep which others back.
    pub inhibit_rules: Vec<InhibitRule>,
    /// Times that routes refer to by name.
    pub time_intervals: Vec<NamedInterval>,
}

/// One route. What is `None` is its parent's; the root's defaults are Alertmanager's.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Route {
    /// Who is told.
    pub receiver: Option<String>,
    /// Conditions that must all hold, such as `severity=~"error|critical"`.
    pub matchers: Vec<String>,
    /// Which labels make a group. Root's default: none, so that all alerts are one group.
    pub group_by: Option<GroupBy>,
    /// How long a new group waits for more alerts before it is first told. Default: 30 s.
    #[serde(deserialize_with = "units::optional_duration")]
    pub group_wait: Option<Duration>,
    /// Time between two messages about a group that changes. Default: 5 min.
    #[serde(deserialize_with = "units::optional_duration")]
    pub group_interval: Option<Duration>,
    /// Time after which an unchanged group is told again. Default: 4 h.
    #[serde(deserialize_with = "units::optional_duration")]
    pub repeat_interval: Option<Duration>,
    /// Whether an alert that matches goes on to the next sibling. Not inherited.
    #[serde(rename = "continue")]
    pub continue_matching: bool,
    /// Times at which nothing is sent. Not inherited.
    pub mute_time_intervals: Vec<String>,
    /// The only times at which something is sent; none means always. Not inherited.
    pub active_time_intervals: Vec<String>,
    /// Routes that are tried before this one.
    pub routes: Vec<Route>,
    /// What groups of this route are known by, where that is not its matchers.
    #[serde(skip)]
    pub(crate) key: Option<String>,
}

/// Which labels make a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// Alerts with the same values of these are one group.
    Labels(Vec<String>),
    /// `...`: every label set is a group of its own.
    All,
}

/// A named set of channels, and who is told next when nobody answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Receiver {
    /// What routes call it.
    pub name: String,
    /// The channels that are told at once.
    pub channels: Vec<String>,
    /// What happens when nobody acknowledges.
    pub escalation: Option<Escalation>,
}

/// Who is told when nobody acknowledges.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Escalation {
    /// Time from the first message to the first step, and from step to step. Default: 15 min.
    #[serde(deserialize_with = "units::duration")]
    pub delay: Duration,
    /// The steps, in order.
    pub steps: Vec<EscalationStep>,
    /// Whether the first step follows the last one. Default: no, the last step ends it.
    pub repeat: bool,
}

/// One step of an escalation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct EscalationStep {
    /// The channels that are told, beside all that were told before.
    pub channels: Vec<String>,
    /// Time since the step before. Default: the escalation's delay.
    #[serde(deserialize_with = "units::optional_duration")]
    pub delay: Option<Duration>,
}

/// What routing has to know of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelTraits {
    /// How many independent addresses it has (a webhook's URLs); each has a delivery of its own.
    pub destinations: u16,
    /// Whether it is told that alerts are over. Default: yes.
    pub send_resolved: bool,
    /// Whether it is told that somebody has acknowledged (`PagerDuty` wants to know). Default: no.
    pub send_acknowledged: bool,
    /// The channel that is told what this one could not deliver.
    pub fallback: Option<String>,
}

impl Default for Escalation {
    fn default() -> Self {
        Self {
            delay: Duration::from_mins(15),
            steps: Vec::new(),
            repeat: false,
        }
    }
}

impl Default for ChannelTraits {
    fn default() -> Self {
        Self {
            destinations: 1,
            send_resolved: true,
            send_acknowledged: false,
            fallback: None,
        }
    }
}

impl<'de> Deserialize<'de> for GroupBy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let labels = Vec::<String>::deserialize(deserializer)?;
        // `...` beside labels stays a label here, so that the validation can name its route.
        Ok(if labels == ["..."] {
            Self::All
        } else {
            Self::Labels(labels)
        })
    }
}

impl Routing {
    /// One receiver for everything: what holds where nothing is configured.
    #[must_use]
    pub fn to_receiver(receiver: Receiver) -> Self {
        Self {
            route: Route::to(receiver.name.clone()),
            receivers: vec![receiver],
            ..Self::default()
        }
    }

    /// Adds a receiver.
    #[must_use]
    pub fn with_receiver(mut self, receiver: Receiver) -> Self {
        self.receivers.push(receiver);
        self
    }

    /// Adds an inhibition rule.
    #[must_use]
    pub fn with_inhibit_rule(mut self, rule: InhibitRule) -> Self {
        self.inhibit_rules.push(rule);
        self
    }

    /// Adds named times.
    #[must_use]
    pub fn with_time_interval(mut self, interval: NamedInterval) -> Self {
        self.time_intervals.push(interval);
        self
    }

    /// Replaces the root route.
    #[must_use]
    pub fn with_route(mut self, route: Route) -> Self {
        self.route = route;
        self
    }
}

impl Route {
    /// A route to a receiver.
    #[must_use]
    pub fn to(receiver: impl Into<String>) -> Self {
        Self {
            receiver: Some(receiver.into()),
            ..Self::default()
        }
    }

    /// Adds matchers, such as `severity="critical"`.
    #[must_use]
    pub fn with_matcher(mut self, matcher: impl Into<String>) -> Self {
        self.matchers.push(matcher.into());
        self
    }

    /// Groups by these labels.
    #[must_use]
    pub fn with_group_by<S: Into<String>>(mut self, labels: impl IntoIterator<Item = S>) -> Self {
        self.group_by = Some(GroupBy::Labels(
            labels.into_iter().map(Into::into).collect(),
        ));
        self
    }

    /// Sets how long a new group waits, how long a changed one does, and how long an unchanged one.
    #[must_use]
    pub fn with_timing(mut self, wait: Duration, interval: Duration, repeat: Duration) -> Self {
        self.group_wait = Some(wait);
        self.group_interval = Some(interval);
        self.repeat_interval = Some(repeat);
        self
    }

    /// Lets alerts that match go on to the next sibling.
    #[must_use]
    pub fn and_continue(mut self) -> Self {
        self.continue_matching = true;
        self
    }

    /// Adds a route below.
    #[must_use]
    pub fn with_route(mut self, route: Self) -> Self {
        self.routes.push(route);
        self
    }

    /// Sends nothing at these times.
    #[must_use]
    pub fn muted_at(mut self, interval: impl Into<String>) -> Self {
        self.mute_time_intervals.push(interval.into());
        self
    }
}

impl Receiver {
    /// A receiver that tells these channels.
    #[must_use]
    pub fn new<S: Into<String>>(
        name: impl Into<String>,
        channels: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            name: name.into(),
            channels: channels.into_iter().map(Into::into).collect(),
            escalation: None,
        }
    }

    /// Escalates when nobody acknowledges.
    #[must_use]
    pub fn with_escalation(mut self, escalation: Escalation) -> Self {
        self.escalation = Some(escalation);
        self
    }
}

impl Escalation {
    /// Steps to these channels, one after the other.
    #[must_use]
    pub fn after(delay: Duration) -> Self {
        Self {
            delay,
            ..Self::default()
        }
    }

    /// Adds a step to these channels.
    #[must_use]
    pub fn with_step<S: Into<String>>(mut self, channels: impl IntoIterator<Item = S>) -> Self {
        self.steps.push(EscalationStep {
            channels: channels.into_iter().map(Into::into).collect(),
            delay: None,
        });
        self
    }

    /// Starts again at the first step after the last one.
    #[must_use]
    pub fn repeating(mut self) -> Self {
        self.repeat = true;
        self
    }
}

impl ChannelTraits {
    /// Sets how many independent addresses the channel has.
    #[must_use]
    pub fn with_destinations(mut self, destinations: u16) -> Self {
        self.destinations = destinations;
        self
    }

    /// Sets whether the channel is told that alerts are over.
    #[must_use]
    pub fn with_send_resolved(mut self, send: bool) -> Self {
        self.send_resolved = send;
        self
    }

    /// Tells the channel that somebody has acknowledged, too.
    #[must_use]
    pub fn with_acknowledgements(mut self) -> Self {
        self.send_acknowledged = true;
        self
    }

    /// Names the channel that is told what this one could not deliver.
    #[must_use]
    pub fn with_fallback(mut self, channel: impl Into<String>) -> Self {
        self.fallback = Some(channel.into());
        self
    }
}

/// Channels by their names.
pub(crate) type Channels = BTreeMap<String, ChannelTraits>;
