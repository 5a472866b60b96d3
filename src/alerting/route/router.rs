//! Routes alerts by a validated and compiled routing configuration.

mod build;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Routing, RoutingError};
use super::{
    inhibit::{CompiledInhibitRule, matches_all},
    interval::Interval,
    spec::Channels,
};
use crate::{
    query::{Labels, LabelsBuilder, Matcher},
    runtime::unix_ms::UnixMs,
};

/// A validated routing configuration: every name in it exists.
#[derive(Clone, Debug)]
pub struct Router {
    /// The routes; the root is the first.
    nodes: Vec<RouteNode>,
    receivers: Vec<CompiledReceiver>,
    pub(crate) inhibit_rules: Vec<CompiledInhibitRule>,
    intervals: BTreeMap<String, Vec<Interval>>,
    channels: Channels,
}

/// A route with all inherited settings.
#[derive(Clone, Debug)]
pub(crate) struct RouteNode {
    /// The matchers from the root down to this route, as in Alertmanager's group keys.
    pub(crate) key: String,
    pub(crate) receiver: Arc<str>,
    matchers: Vec<Matcher>,
    /// `None` groups by all labels.
    group_by: Option<Vec<String>>,
    pub(crate) group_wait: Duration,
    pub(crate) group_interval: Duration,
    pub(crate) repeat_interval: Duration,
    continue_matching: bool,
    mute: Vec<String>,
    active: Vec<String>,
    children: Vec<usize>,
}

/// A receiver with the destinations of its channels.
#[derive(Clone, Debug, Default)]
pub(crate) struct CompiledReceiver {
    name: Arc<str>,
    pub(crate) destinations: Vec<Destination>,
    pub(crate) steps: Vec<CompiledStep>,
    pub(crate) repeat: bool,
}

/// A step of an escalation.
#[derive(Clone, Debug)]
pub(crate) struct CompiledStep {
    pub(crate) delay: Duration,
    pub(crate) destinations: Vec<Destination>,
}

/// A single address of a channel; each destination has its own deliveries, retries and log entries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(String, u16)", into = "(String, u16)")]
pub(crate) struct Destination {
    pub(crate) channel: Arc<str>,
    pub(crate) index: u16,
}

impl From<(String, u16)> for Destination {
    fn from((channel, index): (String, u16)) -> Self {
        let channel = channel.into();
        Self { channel, index }
    }
}

impl From<Destination> for (String, u16) {
    fn from(destination: Destination) -> Self {
        (destination.channel.to_string(), destination.index)
    }
}

impl Router {
    /// Validates a configuration against the existing channels.
    ///
    /// # Errors
    /// When a name is unknown, duplicate or missing, or a matcher, time interval or duration is invalid.
    pub fn new(routing: &Routing, channels: Channels) -> Result<Self, RoutingError> {
        build::router(routing, channels)
    }

    /// Returns the indices of the routes that match an alert with these labels.
    pub(crate) fn routes_of(&self, labels: &Labels) -> Vec<usize> {
        let mut routes = Vec::new();
        self.collect_routes(0, labels, &mut routes);
        routes
    }

    /// Returns the names of the receivers of an alert with these labels.
    #[must_use]
    pub fn receivers_of(&self, labels: &Labels) -> Vec<&str> {
        let routes = self.routes_of(labels);
        routes
            .into_iter()
            .map(|at| &*self.nodes[at].receiver)
            .collect()
    }

    pub(crate) fn node(&self, at: usize) -> &RouteNode {
        &self.nodes[at]
    }

    /// Returns the index of the route with this key and receiver, if the configuration still contains it.
    pub(crate) fn find(&self, key: &str, receiver: &str) -> Option<usize> {
        self.nodes
            .iter()
            .position(|node| node.key == key && *node.receiver == *receiver)
    }

    pub(crate) fn receiver(&self, name: &str) -> Option<&CompiledReceiver> {
        self.receivers
            .iter()
            .find(|receiver| *receiver.name == *name)
    }

    pub(crate) fn channels(&self) -> &Channels {
        &self.channels
    }

    /// Returns the destinations of a channel.
    pub(crate) fn destinations_of(&self, channel: &str) -> Vec<Destination> {
        build::destinations(&self.channels, channel)
    }

    /// Returns whether the route's time intervals suppress notifications at `now`.
    pub(crate) fn is_muted(&self, node: &RouteNode, now: UnixMs) -> bool {
        let holds = |name: &String| {
            let intervals = self.intervals.get(name);
            intervals.is_some_and(|all| all.iter().any(|interval| interval.contains(now)))
        };
        (!node.active.is_empty() && !node.active.iter().any(holds)) || node.mute.iter().any(holds)
    }

    /// Collects the deepest matching routes below a route; returns whether the route itself matches.
    fn collect_routes(&self, at: usize, labels: &Labels, routes: &mut Vec<usize>) -> bool {
        let node = &self.nodes[at];
        if !matches_all(&node.matchers, labels) {
            return false;
        }
        let before = routes.len();
        for child in &node.children {
            if self.collect_routes(*child, labels, routes) && !self.nodes[*child].continue_matching
            {
                break;
            }
        }
        if routes.len() == before {
            routes.push(at);
        }
        true
    }
}

impl RouteNode {
    /// Returns the labels by which the route groups an alert.
    pub(crate) fn group_labels(&self, labels: &Labels) -> Labels {
        let Some(names) = &self.group_by else {
            return labels.clone();
        };
        let mut builder = LabelsBuilder::default();
        for name in names {
            if let Some(label) = labels.label(name) {
                builder.set(label.clone());
            }
        }
        builder.build()
    }
}

impl std::fmt::Display for Destination {
    /// Formats the destination: `webhook`, or `webhook/1` for the second address.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.index {
            0 => f.write_str(&self.channel),
            index => write!(f, "{}/{index}", self.channel),
        }
    }
}
