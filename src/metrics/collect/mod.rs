//! Copies the registry's series and their exemplars into the forms that PromQL queries read.
//!
//! `collector` appends one sample of each series to the series store at each tick; `exemplars` finds the exemplars
//! of the series that a query selects.

pub(crate) mod collector;
pub(crate) mod exemplars;
