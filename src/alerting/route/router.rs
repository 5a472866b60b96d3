//! The routing configuration, checked and compiled.

mod build;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Routing, RoutingError};
use super::{
    inhibit::{CompiledRule, are_met},
    interval::Interval,
    spec::Channels,
};
use crate::query::{Labels, LabelsBuilder, Matcher};

/// A routing configuration that can be used: every name in it exists.
#[derive(Clone, Debug)]
pub struct Router {
    /// The root comes first.
    nodes: Vec<Node>,
    receivers: Vec<CompiledReceiver>,
    pub(crate) inhibit_rules: Vec<CompiledRule>,
    intervals: BTreeMap<String, Vec<Interval>>,
    channels: Channels,
}

/// One route with everything it inherits.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// What Alertmanager calls it: the matchers from the root down.
    pub(crate) key: String,
    pub(crate) receiver: Arc<str>,
    matchers: Vec<Matcher>,
    /// `None` for all labels.
    group_by: Option<Vec<String>>,
    pub(crate) group_wait_ms: i64,
    pub(crate) group_interval_ms: i64,
    pub(crate) repeat_interval_ms: i64,
    continue_matching: bool,
    mute: Vec<String>,
    active: Vec<String>,
    children: Vec<usize>,
}

/// A receiver with its channels' addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct CompiledReceiver {
    name: Arc<str>,
    pub(crate) destinations: Vec<Destination>,
    pub(crate) steps: Vec<CompiledStep>,
    pub(crate) repeat: bool,
}

/// One step of an escalation.
#[derive(Clone, Debug)]
pub(crate) struct CompiledStep {
    pub(crate) delay_ms: i64,
    pub(crate) destinations: Vec<Destination>,
}

/// One address of a channel: what is delivered on its own, retried on its own, and logged on its own.
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
    /// Checks a configuration against the channels there are.
    ///
    /// # Errors
    /// When a name is unknown, twice there or missing, or a matcher, a time or a duration is wrong.
    pub fn new(routing: &Routing, channels: Channels) -> Result<Self, RoutingError> {
        build::router(routing, channels)
    }

    /// The routes that an alert with these labels takes.
    pub(crate) fn routes_of(&self, labels: &Labels) -> Vec<usize> {
        let mut routes = Vec::new();
        self.descend(0, labels, &mut routes);
        routes
    }

    /// The names of the receivers that hear of an alert with these labels.
    #[must_use]
    pub fn receivers_of(&self, labels: &Labels) -> Vec<&str> {
        let routes = self.routes_of(labels);
        routes
            .into_iter()
            .map(|at| &*self.nodes[at].receiver)
            .collect()
    }

    pub(crate) fn node(&self, at: usize) -> &Node {
        &self.nodes[at]
    }

    /// The route with this key and receiver, if the configuration still has it.
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

    /// The addresses of a channel.
    pub(crate) fn destinations_of(&self, channel: &str) -> Vec<Destination> {
        build::destinations(&self.channels, channel)
    }

    /// Whether the route's times let nothing out at `now`.
    pub(crate) fn is_muted(&self, node: &Node, now: i64) -> bool {
        let holds = |name: &String| {
            let intervals = self.intervals.get(name);
            intervals.is_some_and(|all| all.iter().any(|interval| interval.contains(now)))
        };
        (!node.active.is_empty() && !node.active.iter().any(holds)) || node.mute.iter().any(holds)
    }

    /// An alert takes the deepest routes that match; returns whether this one did.
    fn descend(&self, at: usize, labels: &Labels, routes: &mut Vec<usize>) -> bool {
        let node = &self.nodes[at];
        if !are_met(&node.matchers, labels) {
            return false;
        }
        let before = routes.len();
        for child in &node.children {
            if self.descend(*child, labels, routes) && !self.nodes[*child].continue_matching {
                break;
            }
        }
        if routes.len() == before {
            routes.push(at);
        }
        true
    }
}

impl Node {
    /// The labels by which alerts are grouped.
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
    /// `webhook`, or `webhook/1` for the second address.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.index {
            0 => f.write_str(&self.channel),
            index => write!(f, "{}/{index}", self.channel),
        }
    }
}
