//! Validates a routing configuration, and resolves the settings that routes inherit.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{CompiledReceiver, CompiledStep, Destination, RouteNode, Router};
use crate::{
    alerting::route::{
        GroupBy, Receiver, Route, Routing, RoutingError, interval::Interval, matchers,
        parse_matchers, spec::Channels,
    },
    query::{MatchOp, Matcher},
};

/// Alertmanager's defaults for the root route.
const GROUP_WAIT: Duration = Duration::from_secs(30);
const GROUP_INTERVAL: Duration = Duration::from_mins(5);
const REPEAT_INTERVAL: Duration = Duration::from_hours(4);

pub(super) fn router(routing: &Routing, channels: Channels) -> Result<Router, RoutingError> {
    check_fallbacks(&channels)?;
    let mut receivers = Vec::new();
    for receiver in &routing.receivers {
        let compiled = compile_receiver(receiver, &channels)?;
        if receivers
            .iter()
            .any(|other: &CompiledReceiver| other.name == compiled.name)
        {
            let place = format!("receiver {:?}", receiver.name);
            return Err(RoutingError::new(place, "name", "the name is used twice"));
        }
        receivers.push(compiled);
    }
    let mut router = Router {
        nodes: Vec::new(),
        receivers,
        inhibit_rules: Vec::new(),
        intervals: intervals(routing)?,
        channels,
    };
    for (at, rule) in routing.inhibit_rules.iter().enumerate() {
        router.inhibit_rules.push(rule.compile(at)?);
    }
    check_root(&routing.route)?;
    add(&mut router, &routing.route, None, "route")?;
    Ok(router)
}

/// Returns the destinations of a channel; empty for an unknown channel.
pub(super) fn destinations(channels: &Channels, channel: &str) -> Vec<Destination> {
    let count = channels
        .get(channel)
        .map_or(0, |traits| traits.destinations);
    let name: Arc<str> = channel.into();
    (0..count)
        .map(|index| Destination {
            channel: Arc::clone(&name),
            index,
        })
        .collect()
}

fn check_fallbacks(channels: &Channels) -> Result<(), RoutingError> {
    for (name, traits) in channels {
        let error = |problem: String| RoutingError::channel(name, "fallback", problem);
        let (mut visited, mut next) = (BTreeSet::from([name]), traits.fallback.as_ref());
        while let Some(fallback) = next {
            let Some(traits) = channels.get(fallback) else {
                return Err(error(unknown("channel", fallback, channels.keys())));
            };
            if !visited.insert(fallback) {
                return Err(error(format!(
                    "the fallbacks of {name:?} form a cycle at {fallback:?}"
                )));
            }
            next = traits.fallback.as_ref();
        }
    }
    Ok(())
}

fn compile_receiver(
    receiver: &Receiver,
    channels: &Channels,
) -> Result<CompiledReceiver, RoutingError> {
    let place = format!("receiver {:?}", receiver.name);
    if receiver.name.is_empty() {
        return Err(RoutingError::new(place, "name", "must not be empty"));
    }
    let all = |key: &'static str, names: &[String]| {
        let mut all = Vec::new();
        for name in names {
            if !channels.contains_key(name) {
                let problem = unknown("channel", name, channels.keys());
                return Err(RoutingError::new(&*place, key, problem));
            }
            all.extend(destinations(channels, name));
        }
        Ok(all)
    };
    let mut compiled = CompiledReceiver {
        name: receiver.name.as_str().into(),
        destinations: all("channels", &receiver.channels)?,
        ..CompiledReceiver::default()
    };
    if let Some(escalation) = &receiver.escalation {
        compiled.repeat = escalation.repeat;
        for step in &escalation.steps {
            let delay = step.delay.unwrap_or(escalation.delay);
            if delay.is_zero() {
                return Err(RoutingError::new(
                    place,
                    "escalation.delay",
                    "must be longer than 0",
                ));
            }
            compiled.steps.push(CompiledStep {
                delay,
                destinations: all("escalation.steps.channels", &step.channels)?,
            });
        }
    }
    Ok(compiled)
}

fn intervals(routing: &Routing) -> Result<BTreeMap<String, Vec<Interval>>, RoutingError> {
    let mut intervals = BTreeMap::new();
    for named in &routing.time_intervals {
        let place = format!("time interval {:?}", named.name);
        if named.name.is_empty() {
            return Err(RoutingError::new(place, "name", "must not be empty"));
        }
        let compiled = named
            .time_intervals
            .iter()
            .map(|spec| Interval::new(&named.name, spec))
            .collect::<Result<Vec<_>, _>>()?;
        if intervals.insert(named.name.clone(), compiled).is_some() {
            return Err(RoutingError::new(place, "name", "the name is used twice"));
        }
    }
    Ok(intervals)
}

fn check_root(root: &Route) -> Result<(), RoutingError> {
    let error = |key, problem: &str| Err(RoutingError::new("route", key, problem));
    if root.receiver.is_none() {
        return error("receiver", "the root route must have a receiver");
    }
    if !root.matchers.is_empty() {
        return error(
            "matchers",
            "the root route must have no matchers: every alert enters it",
        );
    }
    if root.continue_matching {
        return error("continue", "the root route has no sibling to continue with");
    }
    for (key, intervals) in [
        ("mute_time_intervals", &root.mute_time_intervals),
        ("active_time_intervals", &root.active_time_intervals),
    ] {
        if !intervals.is_empty() {
            return error(key, "the root route must have no time intervals");
        }
    }
    Ok(())
}

/// Adds a route and its child routes; returns the index of the route.
fn add(
    router: &mut Router,
    route: &Route,
    parent: Option<usize>,
    place: &str,
) -> Result<usize, RoutingError> {
    let inherited = parent.map(|at| &router.nodes[at]);
    let receiver: Arc<str> = match (&route.receiver, inherited) {
        (Some(name), _) => name.as_str().into(),
        (None, Some(parent)) => Arc::clone(&parent.receiver),
        (None, None) => Arc::from(""),
    };
    if router.receiver(&receiver).is_none() {
        let names = router.receivers.iter().map(|receiver| &receiver.name);
        let problem = unknown("receiver", &receiver, names);
        return Err(RoutingError::new(place, "receiver", problem));
    }
    for (key, names) in [
        ("mute_time_intervals", &route.mute_time_intervals),
        ("active_time_intervals", &route.active_time_intervals),
    ] {
        if let Some(name) = names
            .iter()
            .find(|name| !router.intervals.contains_key(*name))
        {
            let problem = unknown("time interval", name, router.intervals.keys());
            return Err(RoutingError::new(place, key, problem));
        }
    }
    let matchers = sorted_matchers(route, place)?;
    let texts: Vec<String> = matchers.iter().map(matchers::to_text).collect();
    let own_key = route.key.clone();
    let own_key = own_key.unwrap_or_else(|| format!("{{{}}}", texts.join(",")));
    let node = RouteNode {
        key: inherited.map_or(own_key.clone(), |parent| {
            format!("{}/{own_key}", parent.key)
        }),
        receiver,
        matchers,
        group_by: match &route.group_by {
            Some(group_by) => group_labels(group_by, place)?,
            None => inherited.map_or(Some(Vec::new()), |parent| parent.group_by.clone()),
        },
        group_wait: route
            .group_wait
            .unwrap_or_else(|| inherited.map_or(GROUP_WAIT, |parent| parent.group_wait)),
        group_interval: positive(route.group_interval, "group_interval", place)?
            .unwrap_or_else(|| inherited.map_or(GROUP_INTERVAL, |parent| parent.group_interval)),
        repeat_interval: positive(route.repeat_interval, "repeat_interval", place)?
            .unwrap_or_else(|| inherited.map_or(REPEAT_INTERVAL, |parent| parent.repeat_interval)),
        continue_matching: route.continue_matching,
        mute: route.mute_time_intervals.clone(),
        active: route.active_time_intervals.clone(),
        children: Vec::new(),
    };
    let at = router.nodes.len();
    router.nodes.push(node);
    for (number, child) in route.routes.iter().enumerate() {
        let child = add(
            router,
            child,
            Some(at),
            &format!("{place}.routes[{number}]"),
        )?;
        router.nodes[at].children.push(child);
    }
    Ok(at)
}

fn positive(
    duration: Option<Duration>,
    key: &'static str,
    place: &str,
) -> Result<Option<Duration>, RoutingError> {
    if duration.is_some_and(|duration| duration.is_zero()) {
        return Err(RoutingError::new(place, key, "must be longer than 0"));
    }
    Ok(duration)
}

fn group_labels(group_by: &GroupBy, place: &str) -> Result<Option<Vec<String>>, RoutingError> {
    let GroupBy::Labels(labels) = group_by else {
        return Ok(None);
    };
    let error = |problem: String| Err(RoutingError::new(place, "group_by", problem));
    if labels.iter().any(|label| label == "...") {
        return error("`...` groups by all labels and must be the only entry".to_owned());
    }
    let mut unique = BTreeSet::new();
    for label in labels {
        if label.is_empty() {
            return error("a label has no name".to_owned());
        }
        if !unique.insert(label) {
            return error(format!("label {label:?} is repeated"));
        }
    }
    Ok(Some(labels.clone()))
}

/// Parses the matchers of a route and sorts them in Alertmanager's order, which is visible in group keys.
fn sorted_matchers(route: &Route, place: &str) -> Result<Vec<Matcher>, RoutingError> {
    let mut matchers = Vec::new();
    for text in &route.matchers {
        matchers.extend(parse_matchers(text).map_err(|error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            let problem = format!("{error}{}", cause.unwrap_or_default());
            RoutingError::new(place, "matchers", problem)
        })?);
    }
    let rank = |op| match op {
        MatchOp::Equal => 0,
        MatchOp::NotEqual => 1,
        MatchOp::Regex => 2,
        MatchOp::NotRegex => 3,
    };
    matchers.sort_by(|a: &Matcher, b: &Matcher| {
        (a.name(), a.value(), rank(a.op())).cmp(&(b.name(), b.value(), rank(b.op())))
    });
    Ok(matchers)
}

fn unknown<S: AsRef<str>>(kind: &str, name: &str, known: impl Iterator<Item = S>) -> String {
    let known: Vec<String> = known.map(|name| format!("{:?}", name.as_ref())).collect();
    format!(
        "there is no {kind} {name:?}; there are: {}",
        known.join(", ")
    )
}
