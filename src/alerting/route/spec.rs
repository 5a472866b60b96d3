//! Defines the routing configuration as plain data, in Alertmanager's terms.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{inhibit::InhibitRule, interval::NamedInterval, units};

use crate::settings::setters;

/// The routing configuration: a tree of routes, receivers, inhibition rules and time intervals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Routing {
    /// The root route. Every alert enters it, so it needs a receiver and must not have matchers.
    pub route: Route,
    /// Receivers that routes refer to by name.
    pub receivers: Vec<Receiver>,
    /// Inhibition rules.
    pub inhibit_rules: Vec<InhibitRule>,
    /// Time intervals that routes refer to by name.
    pub time_intervals: Vec<NamedInterval>,
}

/// A route. A setting that is `None` is inherited from the parent route; the root's defaults are Alertmanager's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Route {
    /// Name of the receiver.
    pub receiver: Option<String>,
    /// Matchers that must all match, such as `severity=~"error|critical"`.
    pub matchers: Vec<String>,
    /// Labels by which alerts are grouped. Default of the root: none, so that all alerts form a single group.
    pub group_by: Option<GroupBy>,
    /// Time for which a new group collects alerts before its first notification. Default: 30 s.
    #[serde(deserialize_with = "units::optional_duration")]
    pub group_wait: Option<Duration>,
    /// Time between two notifications of a group that changes. Default: 5 min.
    #[serde(deserialize_with = "units::optional_duration")]
    pub group_interval: Option<Duration>,
    /// Time after which the notification of an unchanged group is repeated. Default: 4 h.
    #[serde(deserialize_with = "units::optional_duration")]
    pub repeat_interval: Option<Duration>,
    /// True if the next sibling route is tried after this route has matched. Not inherited.
    #[serde(rename = "continue")]
    pub continue_matching: bool,
    /// Time intervals in which no notifications are sent. Not inherited.
    pub mute_time_intervals: Vec<String>,
    /// Time intervals outside of which no notifications are sent; an empty list means always active. Not inherited.
    pub active_time_intervals: Vec<String>,
    /// Child routes, which are tried before this route's own receiver.
    pub routes: Vec<Route>,
    /// Part of the group key in place of the matchers.
    #[serde(skip)]
    pub(crate) key: Option<String>,
}

/// The labels by which alerts are grouped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// Alerts with equal values of these labels form a group.
    Labels(Vec<String>),
    /// `...`: every label set is a group of its own.
    All,
}

/// A named set of channels, with an optional escalation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Receiver {
    /// Name by which routes refer to the receiver.
    pub name: String,
    /// Channels that are notified first.
    pub channels: Vec<String>,
    /// Further channels that are notified while an alert is not acknowledged. Default: none.
    pub escalation: Option<Escalation>,
}

/// Steps in which further channels are notified while an alert is not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Escalation {
    /// Time from the first notification to the first step, and between steps. Default: 15 min.
    #[serde(deserialize_with = "units::duration")]
    pub delay: Duration,
    /// The steps, in order.
    pub steps: Vec<EscalationStep>,
    /// True if the steps start again after the last. Default: false.
    pub repeat: bool,
}

/// A step of an escalation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct EscalationStep {
    /// Channels that are notified, in addition to the channels of the previous steps.
    pub channels: Vec<String>,
    /// Time since the previous step. Default: the delay of the escalation.
    #[serde(deserialize_with = "units::optional_duration")]
    pub delay: Option<Duration>,
}

/// The properties of a channel that affect routing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelTraits {
    /// Number of independent addresses, such as the URLs of a webhook; each has its own deliveries. Default: 1.
    pub destinations: u16,
    /// True if the channel is notified that alerts are resolved. Default: true.
    pub send_resolved: bool,
    /// True if the channel is notified of acknowledgements, as `PagerDuty` is. Default: false.
    pub send_acknowledged: bool,
    /// Channel that receives the notifications which this channel could not deliver. Default: none.
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

#[cfg(feature = "json-schema")]
impl schemars::JsonSchema for GroupBy {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "GroupBy".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Vec::<String>::json_schema(generator)
    }
}

impl Serialize for GroupBy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Labels(labels) => labels.serialize(serializer),
            Self::All => ["..."].serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for GroupBy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let labels = Vec::<String>::deserialize(deserializer)?;
        // `...` next to labels is kept as a label, so that the validation can report the route.
        Ok(if labels == ["..."] {
            Self::All
        } else {
            Self::Labels(labels)
        })
    }
}

impl Routing {
    /// Routes every alert to the same receiver, which is the default without a configuration.
    #[must_use]
    pub fn to_receiver(receiver: Receiver) -> Self {
        Self {
            route: Route::to(receiver.name.clone()),
            receivers: vec![receiver],
            ..Self::default()
        }
    }

    setters! {
        /// Adds a receiver.
        with_receiver(receiver: Receiver) { self.receivers.push(receiver) }

        /// Adds an inhibition rule.
        with_inhibit_rule(rule: InhibitRule) { self.inhibit_rules.push(rule) }

        /// Adds a named time interval.
        with_time_interval(interval: NamedInterval) { self.time_intervals.push(interval) }

        /// Replaces the root route.
        with_route(route: Route) { self.route = route }
    }
}

impl Route {
    /// Creates a route to a receiver.
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

    /// Sets the labels by which alerts are grouped.
    #[must_use]
    pub fn with_group_by<S: Into<String>>(mut self, labels: impl IntoIterator<Item = S>) -> Self {
        self.group_by = Some(GroupBy::Labels(
            labels.into_iter().map(Into::into).collect(),
        ));
        self
    }

    /// Sets `group_wait`, `group_interval` and `repeat_interval`.
    #[must_use]
    pub fn with_timing(mut self, wait: Duration, interval: Duration, repeat: Duration) -> Self {
        self.group_wait = Some(wait);
        self.group_interval = Some(interval);
        self.repeat_interval = Some(repeat);
        self
    }

    /// Also tries the next sibling route after this route has matched.
    #[must_use]
    pub fn and_continue(mut self) -> Self {
        self.continue_matching = true;
        self
    }

    setters! {
        /// Adds a child route.
        with_route(route: Self) { self.routes.push(route) }

        /// Suppresses notifications in this time interval.
        muted_at(interval: impl Into<String>) { self.mute_time_intervals.push(interval.into()) }
    }
}

impl Receiver {
    /// Creates a receiver that notifies these channels.
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

    /// Sets the escalation.
    #[must_use]
    pub fn with_escalation(mut self, escalation: Escalation) -> Self {
        self.escalation = Some(escalation);
        self
    }
}

impl Escalation {
    /// Creates an escalation without steps, with this delay between steps.
    #[must_use]
    pub fn after(delay: Duration) -> Self {
        Self {
            delay,
            ..Self::default()
        }
    }

    /// Adds a step that notifies these channels.
    #[must_use]
    pub fn with_step<S: Into<String>>(mut self, channels: impl IntoIterator<Item = S>) -> Self {
        self.steps.push(EscalationStep {
            channels: channels.into_iter().map(Into::into).collect(),
            delay: None,
        });
        self
    }

    /// Starts again at the first step after the last.
    #[must_use]
    pub fn repeating(mut self) -> Self {
        self.repeat = true;
        self
    }
}

impl ChannelTraits {
    setters! {
        /// Sets the number of independent addresses.
        with_destinations(destinations: u16) { self.destinations = destinations }

        /// Sets whether the channel is notified that alerts are resolved.
        with_send_resolved(send: bool) { self.send_resolved = send }
    }

    /// Notifies the channel of acknowledgements.
    #[must_use]
    pub fn with_acknowledgements(mut self) -> Self {
        self.send_acknowledged = true;
        self
    }

    /// Sets the channel that receives the notifications which this channel could not deliver.
    #[must_use]
    pub fn with_fallback(mut self, channel: impl Into<String>) -> Self {
        self.fallback = Some(channel.into());
        self
    }
}

/// Channels, by name.
pub(crate) type Channels = BTreeMap<String, ChannelTraits>;
