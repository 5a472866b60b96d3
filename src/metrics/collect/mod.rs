//! Copies the registry's series into the series store, and evaluates `PromQL` queries about them.
//!
//! `collector` appends a sample of each series to the store at each tick, `queries` holds the store and the engine, and
//! `exemplars` finds the exemplars of the series that a query selects.

mod collector;
pub(crate) mod exemplars;
mod queries;
mod unknown;

pub(crate) use self::{
    queries::{Queries, RunLimits},
    unknown::UnknownMetric,
};
