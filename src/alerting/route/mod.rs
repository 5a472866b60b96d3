//! Selects the receivers of an alert by its labels, with the configuration model of Alertmanager.
//!
//! [`Routing`] is plain data: a tree of routes, receivers, inhibition rules and time intervals. [`Router::new`] checks
//! it against the existing channels and compiles it; an error names the route or receiver and its key. Without a tree,
//! each rule names its channels: [`SimpleRule`] compiles to the same routes.
//!
//! Sent notifications are tracked in `dispatch`, not here.

mod error;
mod export;
mod inhibit;
mod interval;
mod matchers;
mod router;
mod silence;
mod simple;
mod spec;
mod units;

pub(crate) use self::{
    inhibit::{InhibitSources, matches_all},
    router::{Destination, RouteNode},
    silence::Silences,
};

pub use self::{
    error::RoutingError,
    export::ExportedChannel,
    inhibit::InhibitRule,
    interval::{IntervalSpec, NamedInterval, TimeRange},
    matchers::{MatcherError, parse_matchers},
    router::Router,
    silence::{Silence, SilenceError, SilenceRequest, SilenceState},
    simple::SimpleRule,
    spec::{ChannelTraits, Escalation, EscalationStep, GroupBy, Receiver, Route, Routing},
};
