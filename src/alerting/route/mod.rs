//! Turns an alert's labels into the receivers that hear of it, as Alertmanager's configuration does.
//!
//! [`Routing`] is plain data: a tree of routes, receivers, inhibition rules and named times. [`Router::new`] checks
//! it against the channels there are and compiles it; every error names the route or the receiver and the key.
//! Whoever does not want a tree says per rule which channels it goes to: [`SimpleRule`] compiles to the same routes.
//!
//! Nothing here knows what has been sent; that is `dispatch`.

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
    inhibit::{Sources, are_met},
    router::{Destination, Node},
};

pub use self::{
    error::RoutingError,
    export::ExportedChannel,
    inhibit::InhibitRule,
    interval::{Interval, IntervalSpec, NamedInterval, TimeRange},
    matchers::{MatcherError, parse_matchers},
    router::Router,
    silence::{Silence, SilenceError, SilenceRequest, SilenceState, Silences},
    simple::SimpleRule,
    spec::{ChannelTraits, Escalation, EscalationStep, GroupBy, Receiver, Route, Routing},
};
